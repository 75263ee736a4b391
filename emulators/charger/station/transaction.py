"""A transaction of an emulated station, and the authorisation that starts it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

from emulators.charger.station.ocpp_enums import OperationMode
from emulators.charger.station.store import Saved
from protocols.ocpp.schema import Payload


@dataclass(frozen=True, slots=True)
class TransactionStart:
    """Authorised start of a transaction, local or remote. `profile` is installed with it."""

    token: str
    token_type: str
    remote_start: int | None = None
    profile: Payload | None = None
    group: str | None = None


@dataclass(slots=True)
class Transaction:
    """One transaction. Times are Unix times of the station's wall clock. Its fields are a stored format."""

    id: str
    evse: int
    started_at: float
    token: str = ""
    token_type: str = "Central"
    group: str | None = None
    vehicle: str | None = None
    remote_start: int | None = None
    reservation: int | None = None
    number: int | None = None  # 1.6: transactionId assigned by the CSMS
    seq: int = 0
    authorized: bool = False
    ready_at: float | None = None  # authorised and connected
    state: str = "Idle"
    mode: str = OperationMode.charging_only
    stopped: str | None = None  # ReasonEnumType
    started_wh: float = 0.0
    seconds_charging: float = 0.0
    tariff: Payload | None = None
    tariff_sent: bool = False  # transactionInfo.tariffId has been sent
    kept: list[Payload] = field(default_factory=list)  # MeterValues for its last event

    @property
    def name(self) -> str:
        """Transaction id used in charging profiles: in 1.6 that of the CSMS, once it is assigned."""
        return self.id if self.number is None else str(self.number)

    def next_seq(self) -> int:
        """Return the sequence number of the next event."""
        self.seq += 1
        return self.seq - 1

    def saved(self) -> Saved:
        """Return the stored form."""
        return asdict(self)
