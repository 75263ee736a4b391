"""CHAdeMO between a V2H box and its vehicle: the battery that the converter of the box sees, through a session.

Power needs a session in state power; it begins with the first order and ends after a minute without current.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from emulators.battery.pack import Pack
from emulators.charger.chademo.pair import Pair
from protocols.chademo.charger import Charger
from protocols.chademo.charger_session import ChargerSettings, SetCurrent, Start, StopSession
from protocols.chademo.profile import PROFILES
from protocols.chademo.states import ChargerState
from protocols.chademo.vehicle import Vehicle
from protocols.errors import LocalProtocolError

IDLE_S = 60.0  # without current until the session ends


class ChademoLink:
    """A vehicle at the plug. `pair` has both engines; its time runs with the converter."""

    def __init__(self, pack: Pack, model: str = "leaf-40", settings: ChargerSettings | None = None) -> None:
        own = settings or ChargerSettings(max_charge_a=30, max_discharge_a=30)
        self.pair = Pair.of(Charger(own), Vehicle(PROFILES[model]), pack)
        self._pack = pack
        self._settings = own
        self._wanted_s = IDLE_S  # since the last order of power

    @property
    def soc_pct(self) -> float:
        return self._pack.soc_pct

    @property
    def voltage_v(self) -> float:
        return self._pack.voltage_v

    def max_charge_a(self) -> float:
        """Return the charging current that the session permits."""
        return self._permitted(self._pack.max_charge_a, self._settings.max_charge_a)

    def max_discharge_a(self) -> float:
        """Return the discharging current that the session permits."""
        return self._permitted(self._pack.max_discharge_a, self._settings.max_discharge_a)

    def prepare(self) -> None:
        """Start a session, or keep it without power."""
        self._wanted_s = 0.0
        if self.pair.charger.state is ChargerState.IDLE:
            self._order(Start())

    def current_for(self, power_w: float) -> float:
        """Return the current of a power, which starts a session."""
        self.prepare()
        return self._pack.current_for(power_w)

    def flow(self, current_a: float, seconds: float) -> float:
        """Order a current for some time; return the energy that has flowed, Wh."""
        if self.pair.charger.state is ChargerState.POWER:
            self._order(SetCurrent(round(current_a, 1)))
            if self._wanted_s >= IDLE_S:
                self._order(StopSession("no power ordered"))
        self._wanted_s += seconds
        self.pair.run(seconds)
        dc = self.pair.dc  # its own registers move once a second, the converter more often
        return dc.current_a * dc.voltage_v * seconds / 3600

    def _permitted(self, of_pack: Callable[[], float], of_box: float) -> float:
        return min(of_pack(), of_box) if self.pair.charger.state is ChargerState.POWER else 0.0

    def _order(self, order: Start | StopSession | SetCurrent) -> None:
        with suppress(LocalProtocolError):  # the state changed meanwhile
            self.pair.order(order)
