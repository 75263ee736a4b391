"""Board drivers of DC modules by make, with their settings. Each provides the power stage only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from pydantic import Field

from gateway.drivers.board.can.stage import CanStage
from gateway.drivers.board.registry import BoardError, BoardSettings, Driver
from protocols.dc_modules.bus import CanBus
from protocols.dc_modules.infypower import SILENCE_S, BegController, V113Controller
from protocols.dc_modules.winline import WinlineController
from protocols.ports import Clock

Address = Annotated[int, Field(ge=0, le=0x3F)]
Settle = Annotated[float, Field(gt=0, le=30)]
Addresses = Annotated[tuple[Address, ...], Field(min_length=1, max_length=32)]


class CanSettings(BoardSettings):
    """Settings of every make."""

    channel: str = Field(default="can0", min_length=1, description="CAN interface, udp:GROUP or memory:NAME")
    settle_s: Settle = Field(default=5.0, description="time of the largest change of the current, with soft start")
    min_current_a: float = Field(default=1.0, ge=0, description="lower set-points give no current")


class BegSettings(CanSettings):
    """Settings of one InfyPower BEG module."""

    address: Address = Field(default=0, description="of the module")
    silence_s: float = Field(
        default=SILENCE_S, gt=2, description="silence time-out; not published for this series, 10 s is that of V1.13"
    )


class InfySettings(CanSettings):
    """Settings of InfyPower modules of protocol V1.13 in parallel."""

    addresses: Addresses = Field(default=(0,), description="of the modules, which share the current equally")


class WinlineSettings(CanSettings):
    """Settings of Winline or Maxwell modules in parallel."""

    addresses: Addresses = Field(default=(0,), description="of the modules, which share the current equally")
    max_voltage_v: float = Field(default=1000.0, gt=0, description="of the type plate")
    min_voltage_v: float = Field(default=200.0, ge=0, description="of the type plate")
    altitude_m: int = Field(default=1000, ge=1000, le=5000, description="of the site; the modules derate by it")
    silence_s: float | None = Field(default=None, gt=2, description="silence time-out, if the manufacturer states it")


Opener = Callable[[], CanBus]


def _opener(settings: CanSettings) -> Opener:
    try:
        from protocols.dc_modules.io import open_bus  # python-can is an extra
    except ImportError as error:
        raise BoardError(f"board of DC modules: {error}") from error
    return lambda: open_bus(settings.channel)


def infypower_beg(settings: BegSettings, clock: Clock, opener: Opener | None = None) -> CanStage:
    """Return the power stage of an InfyPower BEG module."""
    return CanStage(
        BegController(clock.now(), settings.address),
        opener or _opener(settings),
        clock,
        silence_s=settings.silence_s,
        settle_s=settings.settle_s,
        min_current_a=settings.min_current_a,
    )


def infypower(settings: InfySettings, clock: Clock, opener: Opener | None = None) -> CanStage:
    """Return the power stage of InfyPower modules of protocol V1.13."""
    return CanStage(
        V113Controller(clock.now(), settings.addresses),
        opener or _opener(settings),
        clock,
        silence_s=SILENCE_S,
        settle_s=settings.settle_s,
        min_current_a=settings.min_current_a * len(settings.addresses),
    )


def winline(settings: WinlineSettings, clock: Clock, opener: Opener | None = None) -> CanStage:
    """Return the power stage of Winline modules."""
    engine = WinlineController(
        clock.now(),
        settings.addresses,
        max_voltage_v=settings.max_voltage_v,
        min_voltage_v=settings.min_voltage_v,
        altitude_m=settings.altitude_m,
    )
    return CanStage(
        engine,
        opener or _opener(settings),
        clock,
        silence_s=settings.silence_s,
        settle_s=settings.settle_s,
        min_current_a=settings.min_current_a * len(settings.addresses),
    )


INFYPOWER_BEG = Driver("infypower-beg", BegSettings, infypower_beg)
INFYPOWER = Driver("infypower", InfySettings, infypower)
WINLINE = Driver("winline", WinlineSettings, winline)
