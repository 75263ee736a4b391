"""Household solar power generation (0x0279) on the photovoltaics of a home, with an output limit."""

from __future__ import annotations

from collections.abc import Collection

from emulators.echonet.home import Home
from emulators.echonet.plant import HomePlant, device, identity
from emulators.site.pv import Pv
from protocols.echonet.classes import SOLAR
from protocols.echonet.objects import LocalObject
from protocols.echonet.values import Value

LIMIT_PCT, LIMIT_W = 0xA0, 0xA1


class SolarGeneration(HomePlant):
    """The inverter. An output limit in percent or in watts holds its generation back."""

    def __init__(self, home: Home, pv: Pv, release: str = "R") -> None:
        self._pv = pv
        rated_w = round(pv.spec.inverter_w or pv.spec.peak_w)
        stated: dict[int, Value] = {
            **identity(SOLAR, release, "PV"),
            0xA2: True,
            0xB0: {"date": "unknown", "powerControlRatio": ("unknown",) * 96},
            0xB1: "noControlNoSchedule",
            0xB2: True,
            0xB3: 300,
            0xB4: "noSetting",
            0xC0: 95,
            0xC2: "withSelfConsumption",
            0xC3: "noSetting",
            0xD0: "reversePowerFlowAcceptable",
            0xE8: rated_w,
        }
        settings: dict[int, Value] = {LIMIT_PCT: 100, LIMIT_W: rated_w, 0xC1: "fit"}
        super().__init__(home, stated, settings, {
            0xD1: self._restraint,
            0xE0: lambda now: round(home.advance(now).pv_w),
            0xE1: lambda now: round(home.site.pv_wh / 1000, 3),
            0xE3: lambda now: round(home.site.export_wh / 1000, 3),
        })  # fmt: skip

    def _restraint(self, now: float) -> str:
        return "notPowerRestraint" if self._pv.limit_w is None else "outputControl"

    def write(self, epc: int, value: Value, now: float) -> bool:
        """Apply a setting."""
        if not super().write(epc, value, now):
            return False
        rated_w = self._pv.spec.inverter_w or self._pv.spec.peak_w
        if epc in (LIMIT_PCT, LIMIT_W) and isinstance(value, int):
            limit_w = rated_w * value / 100 if epc == LIMIT_PCT else float(value)
            self._pv.limit_w = None if limit_w >= rated_w else limit_w
        return True


def solar(
    home: Home,
    release: str = "R",
    *,
    get: Collection[int] | None = None,
    settable: Collection[int] | None = None,
) -> LocalObject:
    """Return the object of the photovoltaics of a home, which must have some."""
    assert home.pv is not None
    return device(SOLAR, SolarGeneration(home, home.pv, release), release, get=get, settable=settable)
