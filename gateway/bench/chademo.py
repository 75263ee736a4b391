"""`v2x bench chademo`: processor time of both engines for an hour of discharging, in cycles of 100 ms of virtual time.

`engines`: frames pass directly, measurements change each second. `pair`: with the DC side and its battery, in steps of
50 ms or less. `codec`: every frame decoded and encoded anew, without the caches. Aim: less than 2 s for the engines.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

from emulators.battery.pack import Pack
from emulators.charger.chademo.pair import Pair
from emulators.ev.profile import load
from gateway.bench.measuring import Figures, progress
from protocols.chademo.charger import Charger
from protocols.chademo.charger_session import ChargerInputs, ChargerSettings, SetCurrent, Start
from protocols.chademo.layout import decode, encode
from protocols.chademo.profile import PROFILES
from protocols.chademo.states import ChargerState
from protocols.chademo.timers import CYCLE
from protocols.chademo.vehicle import Vehicle
from protocols.chademo.vehicle_session import Battery, VehicleInputs

HOUR_S, AIM_S = 3600.0, 2.0
CURRENT_A = -10.0
CODEC_ROUNDS = 20_000


def figures(seconds: float = HOUR_S) -> Figures:
    """Return all figures; the processor times are scaled to one hour."""
    progress("both engines, then a pair with its converter")
    engines, frames = _engines(seconds)
    return {
        "bench": "chademo",
        "aim_s": AIM_S,
        "engines_s_per_hour": round(engines * HOUR_S / seconds, 3),
        "pair_s_per_hour": round(_pair(seconds / 10) * 10 * HOUR_S / seconds, 3),
        "frames_per_s": round(frames / engines),
        "codec_us_per_frame": round(_codec_us(), 2),
    }


def text(found: Figures) -> Iterator[str]:
    """Yield the lines for people."""
    yield f"both engines: {found['engines_s_per_hour']:.2f} s of processor time per hour (aim {found['aim_s']:g} s)"
    yield f"with DC side and battery: {found['pair_s_per_hour']:.2f} s per hour"
    yield f"frames: {found['frames_per_s']} per second; codec {found['codec_us_per_frame']:.2f} us per frame"


def _powered() -> Pair:
    """Return a pair whose power flows."""
    settings = ChargerSettings(max_charge_a=30, max_discharge_a=15)
    pair = Pair.of(Charger(settings), Vehicle(PROFILES["leaf-40"]), Pack(load("leaf-40").pack, 90.0))
    pair.order(SetCurrent(CURRENT_A))
    pair.order(Start())
    if not pair.run(30, lambda one: one.charger.state is ChargerState.POWER and one.dc.current_a == CURRENT_A):
        raise RuntimeError("no power")
    return pair


def _engines(seconds: float) -> tuple[float, int]:
    """Return the processor time of both engines, and the number of frames that they exchanged."""
    pair = _powered()
    charger, vehicle, now = pair.charger, pair.vehicle, pair.now
    charger_inputs = charger.session.inputs
    vehicle_inputs = vehicle.session.inputs
    frames, cycles = 0, round(seconds / CYCLE)
    began = time.process_time()
    for number in range(cycles):
        now += CYCLE
        if number % 10 == 0:
            voltage = 380.0 - number / cycles * 10
            charger_inputs = replace(charger_inputs, voltage_v=voltage)
            vehicle_inputs = _moved(vehicle_inputs, voltage, 90.0 - number / cycles * 10)
            charger.command(charger_inputs, now)
            vehicle.command(vehicle_inputs, now)
        charger.expire(now)
        vehicle.expire(now)
        for frame in charger.data_to_send():
            vehicle.receive(frame, now)
            frames += 1
        for frame in vehicle.data_to_send():
            charger.receive(frame, now)
            frames += 1
    spent = time.process_time() - began
    if charger.state is not ChargerState.POWER or not isinstance(charger_inputs, ChargerInputs):
        raise RuntimeError(f"the session ended: {charger.session.stop}")
    return spent, frames


def _moved(inputs: VehicleInputs, voltage_v: float, soc_pct: float) -> VehicleInputs:
    battery: Battery = replace(inputs.battery, voltage_v=voltage_v, soc_pct=round(soc_pct, 1))
    return replace(inputs, inlet_v=voltage_v, battery=battery)


def _pair(seconds: float) -> float:
    """Return the processor time of a pair with its DC side."""
    pair = _powered()
    began = time.process_time()
    pair.run(seconds)
    return time.process_time() - began


def _codec_us() -> float:
    """Return the processor time to decode and encode one frame, without the caches."""
    pair = _powered()
    pair.frames = []
    pair.run(0.2)
    samples = [frame for _, frame in pair.frames]
    began = time.process_time()
    for number in range(CODEC_ROUNDS):
        message = decode.__wrapped__(samples[number % len(samples)])
        if message is not None:
            encode.__wrapped__(message)
    return (time.process_time() - began) / CODEC_ROUNDS * 1e6
