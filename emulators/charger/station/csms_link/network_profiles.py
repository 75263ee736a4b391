"""Network profiles of an emulated station: configuration slots and the order in which they are used.

B09 and B10 (SetNetworkProfile, NetworkConfigurationPriority, NetworkProfileConnectionAttempts), A05 (the security
profile never becomes lower), and the NetworkConfiguration component of 2.1.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from emulators.charger.station.context import StationContext
from emulators.charger.station.maintenance.certificate_store import CertificateStore
from emulators.charger.station.store import Saved
from protocols.ocpp.enums import v21
from protocols.ocpp.schema import Payload, Version
from protocols.ports import TextWire

HOME = 1  # slot of the profile in the station's configuration
VERSIONS = {"OCPP16": Version.V16, "OCPP20": Version.V201, "OCPP201": Version.V201, "OCPP21": Version.V21}
COMPONENT = "NetworkConfiguration"
_FIELDS = {  # variables of the component and fields of NetworkProfile
    "OcppCsmsUrl": "url",
    "SecurityProfile": "security_profile",
    "MessageTimeout": "message_timeout",
    "Identity": "identity",
    "BasicAuthPassword": "password",
}


@dataclass(frozen=True, slots=True)
class NetworkProfile:
    """One network profile; its fields are a stored format. `url` lacks the station id, empty for an unused slot."""

    slot: int
    version: Version
    url: str = ""
    security_profile: int = 0
    identity: str = ""
    password: str | None = None
    message_timeout: int = 30

    def fault(self) -> str | None:
        """Return the reason why the profile cannot be used, or None."""
        scheme = "wss://" if self.security_profile >= 2 else "ws://"
        if not self.url.startswith(scheme) or len(self.url) <= len(scheme):
            return f"security profile {self.security_profile} requires a {scheme} address"
        if not 0 <= self.security_profile <= 3:
            return "the security profile is 0 to 3"
        if self.security_profile in (1, 2) and not self.password:
            return "basic authentication requires a password"
        if not self.identity or self.message_timeout <= 0:
            return "identity and message timeout are required"
        return None


Connect = Callable[[NetworkProfile], Awaitable[TextWire]]


class UntrustedCsms(ConnectionError):
    """The CSMS failed authentication; `event` is the security event to report (2.x appendix 1)."""

    def __init__(self, text: str, event: str) -> None:
        super().__init__(text)
        self.event = event


class NetworkProfiles:
    """Slots of one station and the profile to connect with next."""

    def __init__(self, context: StationContext, certificates: CertificateStore) -> None:
        config = context.config
        self._context, self._certificates = context, certificates
        home = NetworkProfile(HOME, config.version, config.csms, config.security_profile, config.id, config.password)
        self.slots: dict[int, NetworkProfile] = {HOME: home}
        self.order: list[int] = [HOME]
        self.active = HOME
        self._trying = HOME
        self._tries = 0

    # selection

    def target(self) -> NetworkProfile:
        """Return the profile to connect with."""
        return self.slots.get(self._trying, self.slots[self.active])

    def begin(self) -> None:
        """Start with the first profile of the order, as after a boot (B10.FR.04)."""
        self._trying, self._tries = self.order[0], 0

    def failed(self) -> bool:
        """Count a failed attempt; return True if the next one uses another profile. The order is cyclic (B10.FR.08)."""
        self._tries += 1
        if self._tries < self._context.settings.number("connection_attempts") or len(self.order) == 1:
            return False
        at = self.order.index(self._trying) + 1 if self._trying in self.order else 0
        self._trying, self._tries = self.order[at % len(self.order)], 0
        return True

    def connected(self) -> None:
        """Make the profile active and remove those with a lower security profile (A05.FR.06)."""
        self.active, self._tries = self._trying, 0
        level = self.slots[self.active].security_profile
        removed = [slot for slot, one in self.slots.items() if one.security_profile < level]
        for slot in removed:
            del self.slots[slot]
        self.order = [slot for slot in self.order if slot not in removed] or [self.active]
        self._show()
        self._context.save("network")

    # requests of the CSMS

    def set(self, slot: int, data: Payload) -> str | None:
        """Apply SetNetworkProfile; return the reason of a rejection, or None (B09.FR.01-05)."""
        stated = data.get("ocppVersion")
        if str(slot) not in self._possible():
            return "the slot does not exist"
        if data["ocppTransport"] != "JSON" or "apn" in data or "vpn" in data:
            return "only JSON without APN or VPN is supported"
        version = self._context.config.version
        if stated is not None and version is not Version.V21 and VERSIONS.get(stated) is not version:
            return f"this station supports OCPP {version.number}"
        active = self.slots[self.active]
        new = NetworkProfile(
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
            self._context.save("network")
        return fault

    def prioritise(self, value: str) -> str:
        """Set NetworkConfigurationPriority; return SetVariableStatus (B09.FR.20, B10.FR.01, .02, A05.FR.02-04)."""
        slots = [int(one) for one in value.split(",") if one.strip().isdigit()]
        if not slots or len(set(slots)) != len(value.split(",")) or any(one not in self.slots for one in slots):
            return v21.SetVariableStatusEnumType.rejected
        if any(self._lacks(self.slots[one]) for one in slots):
            return v21.SetVariableStatusEnumType.rejected
        only_less = slots == [one for one in self.order if one in slots]
        self.order = slots
        self._show()
        self._context.save("network")
        return v21.SetVariableStatusEnumType.accepted if only_less else v21.SetVariableStatusEnumType.reboot_required

    def _lacks(self, target: NetworkProfile) -> bool:
        """Return True if the profile is incomplete or a certificate that it requires is missing."""
        if target.security_profile <= self.slots[self.active].security_profile or target.security_profile < 2:
            return target.fault() is not None
        store = self._certificates
        own = target.security_profile < 3 or bool(store.own)
        return target.fault() is not None or not store.of(["CSMSRootCertificate"]) or not own

    def set_password(self, password: str) -> None:
        """Set the password of all slots (A01, B09.FR.27)."""
        self.slots = {slot: replace(one, password=password) for slot, one in self.slots.items()}
        self._context.save("network")

    # NetworkConfiguration component of 2.1

    def write(self, slot: int, variable: str, value: str) -> bool:
        """Set a variable of a slot that is not in use; return False if rejected (B09.FR.22-25)."""
        name = _FIELDS.get(variable)
        if name is None or slot in self.order or str(slot) not in self._possible():
            return False
        active = self.slots[self.active]
        before = self.slots.get(
            slot, NetworkProfile(slot, active.version, identity=active.identity, password=active.password)
        )
        numeric = name in ("security_profile", "message_timeout")
        if numeric:
            if not value.isdigit() or (name == "security_profile" and not active.security_profile <= int(value) <= 3):
                return False
        elif not value or len(value) > 2000 or (name == "url" and not value.startswith(("ws://", "wss://"))):
            return False
        change: dict[str, Any] = {name: int(value) if numeric else value}
        self.slots[slot] = replace(before, **change)
        self._context.save("network")
        return True

    def add_variables(self) -> None:
        """Add the NetworkConfiguration components to the device model (B09.FR.08, .10, .13)."""
        kinds = {"SecurityProfile": "integer", "MessageTimeout": "integer"}
        for slot in self._possible():
            component, number = f"{COMPONENT}#{slot}", int(slot)
            for variable in _FIELDS:
                self._context.device_model.add(
                    component, variable, self._reader(number, variable), type=kinds.get(variable, "string"),
                    mutable=True, secret=variable == "BasicAuthPassword",
                )  # fmt: skip
            for variable in ("ApnEnabled", "VpnEnabled"):
                self._context.device_model.add(component, variable, False, type="boolean")

    def _reader(self, slot: int, variable: str) -> Callable[[], object]:
        return lambda: getattr(self.slots.get(slot), _FIELDS[variable], "") or ""

    def _possible(self) -> tuple[str, ...]:
        found = self._context.device_model.find(("OCPPCommCtrlr", 0, "NetworkConfigurationPriority", ""))
        return () if found is None else found.values

    def _show(self) -> None:
        device = self._context.device_model
        if self._possible():
            device.put("OCPPCommCtrlr", "NetworkConfigurationPriority", ",".join(map(str, self.order)))
            device.put("OCPPCommCtrlr", "ActiveNetworkProfile", self.active)
            device.put("SecurityCtrlr", "SecurityProfile", self.slots[self.active].security_profile)

    # persistence

    def saved(self) -> Saved:
        """Return the stored form."""
        return {"slots": [asdict(one) for one in self.slots.values()], "order": self.order, "active": self.active}

    def restore(self, saved: Saved) -> None:
        """Restore the stored form. A changed address in the configuration replaces that of slot 1."""
        home = self.slots[HOME]
        for entry in saved["slots"]:
            one = NetworkProfile(**{**entry, "version": Version(entry["version"])})
            self.slots[one.slot] = one
        if home.url and self.slots[HOME].url != home.url:
            self.slots[HOME] = home
        self.order = [slot for slot in saved["order"] if slot in self.slots] or [HOME]
        self.active = saved["active"] if saved["active"] in self.slots else self.order[0]
        self._show()
