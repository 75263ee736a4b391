"""Fuzz target of CHAdeMO: python tests/fuzz/chademo_target.py [libFuzzer options] [CORPUS]

An input is a program: frames of any content and length, waits, lines and orders for a charger, a vehicle and an
observer. No input raises anything, makes current flow outside of the power state or beyond the stated limits, or makes
an engine keep more than a bounded number of counters.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["protocols.chademo"]):
    from protocols.chademo import charger, observer, vehicle
    from protocols.chademo.charger_session import ChargerInputs, Reset, SetCapability, SetCurrent, Start, StopSession
    from protocols.chademo.engine import MOST_COUNTED
    from protocols.chademo.frames import FROM_CHARGER, FROM_VEHICLE
    from protocols.chademo.profile import PROFILES
    from protocols.chademo.states import ChargerState
    from protocols.chademo.vehicle_session import Battery, ResetVehicle, StopVehicle, VehicleInputs
    from protocols.errors import LocalProtocolError

from protocols.can import CanFrame

IDS = sorted(FROM_VEHICLE | FROM_CHARGER)
MODELS = sorted(PROFILES)


class Bench:
    """Both engines and the observer under test."""

    def __init__(self, data: atheris.FuzzedDataProvider) -> None:
        self.data = data
        self.charger = charger.Charger()
        self.vehicle = vehicle.Vehicle(PROFILES[MODELS[data.ConsumeIntInRange(0, len(MODELS) - 1)]])
        self.observer = observer.Observer()
        self.now = 0.0
        self.inputs = ChargerInputs(plugged=True)
        self.charger.command(self.inputs, 0.0)

    def step(self) -> None:
        """Take one instruction of the program."""
        kind = self.data.ConsumeIntInRange(0, 7)
        if kind <= 3:
            self._frame()
        elif kind == 4:
            self._order()
        elif kind == 5:
            self._lines()
        else:
            self._wait(self.data.ConsumeIntInRange(1, 40) / 20)
        self._check()

    def _deliver(self, frame: CanFrame) -> None:
        self.observer.receive(frame, self.now)
        self.charger.receive(frame, self.now)
        self.vehicle.receive(frame, self.now)

    def _frame(self) -> None:
        can_id = IDS[self.data.ConsumeIntInRange(0, len(IDS) - 1)]
        if self.data.ConsumeIntInRange(0, 15) == 0:
            can_id = self.data.ConsumeIntInRange(0, 0x7FF)
        length = 8 if self.data.ConsumeIntInRange(0, 7) else self.data.ConsumeIntInRange(0, 12)
        self._deliver(CanFrame(can_id, self.data.ConsumeBytes(length)))

    def _order(self) -> None:
        value = self.data.ConsumeIntInRange(-300, 300)
        orders = (
            Start(),
            StopSession("fuzz"),
            Reset(),
            SetCurrent(float(value)),
            SetCapability(abs(value), abs(value)),
        )
        choice = self.data.ConsumeIntInRange(0, len(orders) + 1)
        try:
            if choice < len(orders):
                self.charger.command(orders[choice], self.now)
            else:
                self.vehicle.command((StopVehicle(), ResetVehicle())[choice - len(orders)], self.now)
        except LocalProtocolError:
            pass

    def _lines(self) -> None:
        bit, data = self.data.ConsumeBool, self.data
        voltage = float(data.ConsumeIntInRange(-10, 700))
        current = float(data.ConsumeIntInRange(-300, 300))
        self.charger.command(
            ChargerInputs(
                plugged=data.ConsumeIntInRange(0, 9) > 0,
                k=bit(),
                locked=bit() or bit(),
                voltage_v=voltage,
                current_a=current,
                insulation_ohm=1e6 if bit() else None,
                malfunction="fuzz" if data.ConsumeIntInRange(0, 9) == 0 else "",
            ),
            self.now,
        )
        battery = Battery(voltage_v=voltage, soc_pct=abs(current) / 3, max_charge_a=abs(current), max_discharge_a=60.0)
        lines = {"plugged": bit() or bit(), "d1": bit() or bit(), "d2": bit(), "contactors_closed": bit()}
        self.vehicle.command(VehicleInputs(**lines, inlet_v=voltage, current_a=current, battery=battery), self.now)

    def _wait(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            times = [one for one in (self.charger.deadline(), self.vehicle.deadline()) if one is not None]
            self.now = min([end, *(max(one, self.now) for one in times)])
            self.charger.expire(self.now)
            self.vehicle.expire(self.now)
            for frame in (*self.charger.data_to_send(), *self.vehicle.data_to_send()):
                if len(frame.data) != 8:
                    raise AssertionError(f"sent {frame}")
                self._deliver(frame)

    def _check(self) -> None:
        session, outputs = self.charger.session, self.charger.outputs
        if outputs.current_a and session.state is not ChargerState.POWER:
            raise AssertionError(f"{outputs.current_a} A in state {session.state}")
        if outputs.current_a > max(0, min(session.request_a, session.max_charge_a)) + 1e-6:
            raise AssertionError(f"{outputs.current_a} A of {session.request_a} A requested")
        discharge = session.vehicle.discharge
        permitted = discharge.max_discharge_a if discharge is not None and session.discharge_agreed else 0
        if -outputs.current_a > min(permitted, session.max_discharge_a) + 1e-6:
            raise AssertionError(f"{outputs.current_a} A, {permitted} A permitted")
        if max(len(self.charger.ignored), len(self.vehicle.ignored)) > MOST_COUNTED:
            raise AssertionError("counters without bound")


def check(data: bytes) -> None:
    """Run one program."""
    provider = atheris.FuzzedDataProvider(data)
    bench = Bench(provider)
    while provider.remaining_bytes():
        bench.step()
    for session in bench.observer.finish():
        if not session.outcome:
            raise AssertionError("a session without an outcome")


def main() -> None:
    """Run libFuzzer."""
    atheris.Setup(sys.argv, check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
