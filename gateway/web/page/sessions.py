"""Sessions: one transaction with its power curve, energies and messages, and sessions as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.model import foreign_text
from gateway.model.station import evse_name
from gateway.service import GatewayService
from gateway.store.store import Sample, StoreError
from gateway.web.page.charts import Chart, Line
from gateway.web.page.texts import Texts
from gateway.web.ports import Row, StationAdmin

POINTS = 300  # of a power curve
EVERY_S = 10.0  # shortest period of its means
MESSAGES, SEARCHED = 200, 5000
COLUMNS = ("station", "evse", "session", "started", "ended", "stop_reason", "charged_wh", "discharged_wh")
SAMPLE_COLUMNS = ("time", "charging_w", "discharging_w", "soc_pct", "charged_total_wh", "discharged_total_wh")


@dataclass(frozen=True, slots=True)
class SessionDetail:
    """One session. `samples` None: telemetry cannot be read."""

    row: Row
    evse: str | None
    start: float | None
    end: float
    samples: Sequence[Sample] | None
    messages: Sequence[Row]

    def charts(self, t: Texts) -> list[Chart]:
        """Return power curve and state of charge, where something was measured."""
        if self.start is None or not self.samples:
            return []
        times = [one.wall for one in self.samples]
        power = Line(t("line_power"), [None if one.power_w is None else one.power_w / 1000 for one in self.samples])
        soc = Line(t("soc"), [one.soc_pct for one in self.samples])
        charts = (
            Chart(t("chart_session"), "kW", self.start, self.end, times, [power]),
            Chart(t("soc"), "%", self.start, self.end, times, [soc]),
        )
        return [one for one in charts if not one.empty]


async def detail(service: GatewayService, stations: StationAdmin, ref: str, now: float) -> SessionDetail | None:
    """Return a session by the reference of its transaction, None if there is none."""
    try:
        row = stations.transaction(ref)
    except LookupError:
        return None
    start, end = _time(row["startedAt"]), _time(row["stoppedAt"]) or now
    evse = evse_name(row["station"], row["evseId"]) if row["evseId"] is not None else row.get("evse")
    samples: Sequence[Sample] | None = ()
    if evse is not None and start is not None:
        try:
            samples = await service.samples(evse, start, end + 1, max(EVERY_S, (end - start) / POINTS))
        except StoreError:
            samples = None
    found = stations.messages(row["station"], None, SEARCHED, None, None)
    within = [one for one in found if (start or 0.0) <= one["t"] <= end]
    return SessionDetail(row, evse, start, end, samples, within[:MESSAGES])


def sessions_csv(rows: Iterable[Row]) -> str:
    """Return sessions as CSV; energies are magnitudes, one column each way."""
    return _csv(COLUMNS, (_cells(row) for row in rows))


def samples_csv(samples: Iterable[Sample]) -> str:
    """Return a power curve as CSV; powers are magnitudes, one column each way."""
    return _csv(SAMPLE_COLUMNS, (_sample_cells(one) for one in samples))


def _cells(row: Mapping[str, object]) -> list[object]:
    names = ("station", "evseId", "transactionId", "startedAt", "stoppedAt", "stopReason")
    return [*(row[name] for name in names), _whole(row["energy_charged_wh"]), _whole(row["energy_discharged_wh"])]


def _sample_cells(one: Sample) -> list[object]:
    at = datetime.fromtimestamp(one.wall).astimezone().isoformat(timespec="seconds")
    charging = None if one.power_w is None else round(max(0.0, one.power_w))
    discharging = None if one.power_w is None else round(max(0.0, -one.power_w))
    return [at, charging, discharging, one.soc_pct, _whole(one.energy_charged_wh), _whole(one.energy_discharged_wh)]


def _csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows([["" if one is None else foreign_text.csv_cell(one) for one in row] for row in rows])
    return text.getvalue()


def _whole(value: object) -> object:
    return round(value) if isinstance(value, float) else value


def _time(stamp: str | None) -> float | None:
    return None if stamp is None else datetime.fromisoformat(stamp).timestamp()
