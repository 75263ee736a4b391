"""Where the emulated station finds its CSMS: network profiles in slots, and the order in which they are tried.

B09 and B10 (SetNetworkProfile, NetworkConfigurationPriority, NetworkProfileConnectionAttempts), A05 (a security profile
is only ever raised), and the NetworkConfiguration component of 2.1. Connecting itself is handed in (`line.py`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from emulators.charger.station.device_model import settings
from protocols.ocpp.schema import Payload, Version
from protocols.ports import TextWire

if TYPE_CHECKING:
    from emulators.charger.station.station import Station

HOME = 1  # the slot of what the station was started with
VERSIONS = {"OCPP16": Version.V16, "OCPP20": Version.V201, "OCPP201": Version.V201, "OCPP21": Version.V21}
COMPONENT = "NetworkConfiguration"
_FIELDS = {  # of the component, as they are in a Target
    "OcppCsmsUrl": "url",
    "SecurityProfile": "security_profile",
    "MessageTimeout": "message_timeout",
    "Identity": "identity",
    "BasicAuthPassword": "password",
}


@dataclass(frozen=True, slots=True)
class Target:
    """One network profile. `url` is the CSMS's, without the station's id; an empty one is a slot that was never set."""

    slot: int
    version: Version
    url: str = ""
    security_profile: int = 0
    identity: str = ""
    password: str | None = None
    message_timeout: int = 30

    def fault(self) -> str | None:
        """Why nobody could connect with this; None where it may work."""
        scheme = "wss://" if self.security_profile >= 2 else "ws://"
        if not self.url.startswith(scheme) or len(self.url) <= len(scheme):
            return f"security profile {self.security_profile} wants a {scheme} address"
        if not 0 <= self.security_profile <= 3:
            return "there are the security profiles 0 to 3"
        if self.security_profile in (1, 2) and not self.password:
            return "basic authentication wants a password"
        if not self.identity or self.message_timeout <= 0:
            return "identity and message timeout are needed"
        return None


Connect = Callable[[Target], Awaitable[TextWire]]


class Untrusted(ConnectionError):
    """The CSMS was reached and is not to be trusted; `event` is the security event that says why (2.x appendix 1)."""

    def __init__(self, text: str, event: str) -> None:
        super().__init__(text)
        self.event = event


class Network:
    """The slots of one station, and which is tried next."""

    def __init__(self, station: Station) -> None:
        config = station.config
        self.station = station
        home = Target(HOME, config.version, config.csms, config.security_profile, config.id, config.password)
        self.slots: dict[int, Target] = {HOME: home}
        self.order: list[int] = [HOME]
        self.active = HOME
        self._trying = HOME
        self._tries = 0

    # which is tried

    def target(self) -> Target:
        """What to connect with now."""
        return self.slots.get(self._trying, self.slots[self.active])

    def begin(self) -> None:
        """After a (re)boot the first of the order is tried first (B10.FR.04)."""
        self._trying, self._tries = self.order[0], 0

    def failed(self) -> bool:
        """It did not work; whether the next try is with another profile. After the last comes the first (B10.FR.08)."""
        self._tries += 1
        if self._tries < settings.number(self.station, "connection_attempts") or len(self.order) == 1:
            return False
        at = self.order.index(self._trying) + 1 if self._trying in self.order else 0
        self._trying, self._tries = self.order[at % len(self.order)], 0
        return True

    def connected(self) -> None:
        """It worked: this profile is in use; lower security profiles are gone for good (A05.FR.06)."""
        self.active, self._tries = self._trying, 0
        level = self.slots[self.active].security_profile
        gone = [slot for slot, one in self.slots.items() if one.security_profile < level]
        for slot in gone:
            del self.slots[slot]
        self.order = [slot for slot in self.order if slot not in gone] or [self.active]
        self._show()
        self.station.save("network")

    # what the CSMS sets

    def set(self, slot: int, data: Payload) -> str | None:
        """SetNetworkProfile: why it is not taken, or None (B09.FR.01-05)."""
        said = data.get("ocppVersion")
        if str(slot) not in self._possible():
            return "there is no such slot"
        if data["ocppTransport"] != "JSON" or "apn" in data or "vpn" in data:
            return "only JSON, without APN or VPN"
        version = self.station.config.version
        if said is not None and version is not Version.V21 and VERSIONS.get(said) is not version:
            return f"this station speaks OCPP {version.number}"
        active = self.slots[self.active]
        new = Target(
            slot,
            version,
            data["ocppCsmsUrl"].rstrip("/"),
            data["securityProfile"],
            data.get("identity", active.identity),
            data.get("basicAuthPassword", active.password),
            data["messageTimeout"],
        )
        fault = new.fault()
        if fault is None and new.security_profile < active.security_profile:
            fault = "the security profile would become lower"
        if fault is None:
            self.slots[slot] = new
            self.station.save("network")
        return fault

    def prioritise(self, value: str) -> str:
        """NetworkConfigurationPriority: SetVariableStatus (B09.FR.20, B10.FR.01, .02, A05.FR.02-04)."""
        wanted = [int(one) for one in value.split(",") if one.strip().isdigit()]
        if not wanted or len(set(wanted)) != len(value.split(",")) or any(one not in self.slots for one in wanted):
            return "Rejected"
        if any(self._lacks(self.slots[one]) for one in wanted):
            return "Rejected"
        only_less = wanted == [one for one in self.order if one in wanted]
        self.order = wanted
        self._show()
        self.station.save("network")
        return "Accepted" if only_less else "RebootRequired"

    def _lacks(self, target: Target) -> bool:
        """Whether certificates are missing that a higher security profile needs."""
        if target.security_profile <= self.slots[self.active].security_profile or target.security_profile < 2:
            return target.fault() is not None
        store = self.station.upkeep.certificates
        own = target.security_profile < 3 or bool(store.own)
        return target.fault() is not None or not store.of(["CSMSRootCertificate"]) or not own

    def set_password(self, password: str) -> None:
        """A01: in every slot (B09.FR.27)."""
        self.slots = {slot: replace(one, password=password) for slot, one in self.slots.items()}
        self.station.save("network")

    # the component of 2.1

    def write(self, slot: int, variable: str, value: str) -> bool:
        """One variable of a slot that is not in use (B09.FR.22-25)."""
        name = _FIELDS.get(variable)
        if name is None or slot in self.order or str(slot) not in self._possible():
            return False
        active = self.slots[self.active]
        before = self.slots.get(slot, Target(slot, active.version, identity=active.identity, password=active.password))
        typed: Any = value
        if name in ("security_profile", "message_timeout"):
            if not value.isdigit() or (name == "security_profile" and not active.security_profile <= int(value) <= 3):
                return False
            typed = int(value)
        elif not value or len(value) > 2000 or (name == "url" and not value.startswith(("ws://", "wss://"))):
            return False
        self.slots[slot] = replace(before, **{name: typed})
        self.station.save("network")
        return True

    def furnish(self) -> None:
        """B09.FR.08, .10, .13."""
        kinds = {"SecurityProfile": "integer", "MessageTimeout": "integer"}
        for slot in self._possible():
            component, number = f"{COMPONENT}#{slot}", int(slot)
            for variable in _FIELDS:
                self.station.device.add(
                    component, variable, self._reader(number, variable), type=kinds.get(variable, "string"),
                    mutable=True, secret=variable == "BasicAuthPassword",
                )  # fmt: skip
            for variable in ("ApnEnabled", "VpnEnabled"):
                self.station.device.add(component, variable, False, type="boolean")

    def _reader(self, slot: int, variable: str) -> Callable[[], object]:
        return lambda: getattr(self.slots.get(slot), _FIELDS[variable], "") or ""

    def _possible(self) -> tuple[str, ...]:
        found = self.station.device.find(("OCPPCommCtrlr", 0, "NetworkConfigurationPriority", ""))
        return () if found is None else found.values

    def _show(self) -> None:
        device = self.station.device
        if self._possible():
            device.put("OCPPCommCtrlr", "NetworkConfigurationPriority", ",".join(map(str, self.order)))
            device.put("OCPPCommCtrlr", "ActiveNetworkProfile", self.active)
            device.put("SecurityCtrlr", "SecurityProfile", self.slots[self.active].security_profile)

    # over a restart

    def saved(self) -> dict[str, Any]:
        """What is kept."""
        return {"slots": [asdict(one) for one in self.slots.values()], "order": self.order, "active": self.active}

    def restore(self, saved: dict[str, Any]) -> None:
        """What was kept; where the station was started with another address, that is slot 1 now."""
        home = self.slots[HOME]
        for entry in saved["slots"]:
            one = Target(**{**entry, "version": Version(entry["version"])})
            self.slots[one.slot] = one
        if home.url and self.slots[HOME].url != home.url:
            self.slots[HOME] = home
        self.order = [slot for slot in saved["order"] if slot in self.slots] or [HOME]
        self.active = saved["active"] if saved["active"] in self.slots else self.order[0]
        self._show()
