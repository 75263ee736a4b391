"""Output of `v2x chademo decode`: text, one JSON object, and a page with plots that refers to no other file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from emulators.runtime.candump import Recording
from gateway.model.foreign_text import html as escape
from protocols.chademo import levels
from protocols.chademo.observer import Kind, Observer, SessionRecord
from protocols.chademo.observer_rules import Sample

MOST_POINTS = 2000  # of a plot
Json = dict[str, object]


def observed(recording: Recording) -> Observer:
    """Return the observer of a recording, in the order of its times, which begin with 0."""
    observer = Observer()
    frames = sorted(recording.frames, key=lambda one: one[0])
    first = frames[0][0]
    for at, frame in frames:
        observer.receive(frame, at - first)
    observer.finish()
    return observer


def record(name: str, recording: Recording, observer: Observer) -> Json:
    """Return everything for JSON."""
    return {
        "file": name,
        "frames": len(recording.frames),
        "skipped_lines": recording.skipped,
        "ignored": {f"{can_id:#05x}": number for can_id, number in sorted(observer.ignored.items())},
        "damaged": observer.damaged,
        "sessions": [_session(session) for session in observer.sessions],
    }


def _session(session: SessionRecord) -> Json:
    stop, last = session.stop, session.samples[-1] if session.samples else None
    return {
        "started_s": round(session.started_at, 3),
        "duration_s": round(session.last_at - session.started_at, 3),
        "protocol": session.protocol,
        "discharge": _discharge(session),
        "outcome": session.outcome,
        "cause": None if stop is None else stop.cause,
        "severity": None if stop is None else stop.severity,
        "state": session.states[-1][1],
        "states": [{"at": round(at - session.started_at, 3), "state": state} for at, state in session.states],
        "soc_pct": None if last is None else last.soc_pct,
        "levels_pct": _levels(session),
        "energy_in_wh": round(session.energy_in_wh, 2),
        "energy_out_wh": round(session.energy_out_wh, 2),
        "max_charge_a": max((one.current_a for one in session.samples), default=0.0),
        "max_discharge_a": max((-one.current_a for one in session.samples), default=0.0) or 0.0,
        "limits": _of_kind(session, Kind.LIMIT),
        "faults": _of_kind(session, Kind.FAULT),
        "findings": _of_kind(session, Kind.FINDING),
    }


def _of_kind(session: SessionRecord, kind: Kind) -> list[Json]:
    return [
        {"at": round(one.at - session.started_at, 3), "text": one.text}
        for one in session.observations
        if one.kind is kind
    ]


def _discharge(session: SessionRecord) -> bool:
    """Return whether both sides permit discharging."""
    vehicle, charger = session.vehicle.status, session.charger.status
    return bool(vehicle and charger and vehicle.discharge_compatible and charger.discharge_compatible)


def _levels(session: SessionRecord) -> Json | None:
    vehicle = session.vehicle
    if vehicle.discharge is None:
        return None
    found = levels.in_pct(vehicle.discharge, vehicle.time, vehicle.sequence)
    return {"min": found.min_pct, "max": found.max_pct}


def text(name: str, recording: Recording, observer: Observer) -> Iterator[str]:
    """Yield the lines for people."""
    skipped = f", {recording.skipped} other lines" if recording.skipped else ""
    yield f"{name}: {len(recording.frames)} frames{skipped}, {_sessions(observer)}"
    for number, session in enumerate(observer.sessions, 1):
        yield f"session {number} at {session.started_at:.3f} s: {session.outcome}"
        yield f"  {'; '.join(_summary(session))}"
        for one in session.observations:
            mark = "!" if one.kind in (Kind.FAULT, Kind.FINDING) else " "
            yield f"{one.at - session.started_at:11.3f}  {mark} {one.kind:8} {one.text}"
    for damaged in observer.damaged:
        yield f"damaged: {damaged}"
    if observer.ignored:
        others = ", ".join(f"{can_id:#05x} ({number})" for can_id, number in sorted(observer.ignored.items()))
        yield f"frames outside of sessions: {others}"


def _sessions(observer: Observer) -> str:
    number = len(observer.sessions)
    return f"{number} session{'' if number == 1 else 's'}"


def _summary(session: SessionRecord) -> Iterator[str]:
    yield f"protocol {session.protocol}" if session.protocol is not None else "no charger"
    yield f"discharge {'agreed' if _discharge(session) else 'not agreed'}"
    soc = [one.soc_pct for one in session.samples if one.soc_pct is not None]
    if soc:
        yield f"state of charge {soc[-1]:.0f} %"
    yield f"{session.energy_in_wh:.0f} Wh into the vehicle, {session.energy_out_wh:.0f} Wh out of it"


# ----------------------------------------------------------------------------------------------------------------- page


def page(name: str, recording: Recording, observer: Observer) -> str:
    """Return a page with the plots, states, limits and faults of each session."""
    from emulators.world.report.html import STYLE

    title = f"CHAdeMO: {name}"
    body = "".join(_section(number, session) for number, session in enumerate(observer.sessions, 1))
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body>'
        f"<h1>{escape(title)}</h1><p>{len(recording.frames)} frames, {_sessions(observer)}</p>"
        f"{body}</body></html>\n"
    )


def _section(number: int, session: SessionRecord) -> str:
    verdict = "bad" if session.stop is not None and session.stop.severity in ("error", "no_start") else "good"
    rows = "".join(
        f'<tr><td class="n">{one.at - session.started_at:.3f} s</td>'
        f'<td class="{"bad" if one.kind in (Kind.FAULT, Kind.FINDING) else ""}">{one.kind}</td>'
        f"<td>{escape(one.text)}</td></tr>"
        for one in session.observations
    )
    return (
        f'<h2>Session {number}</h2><p class="{verdict}">{escape(session.outcome)}</p>'
        f"<p>{escape('; '.join(_summary(session)))}</p>{_plots(number, session)}"
        f"<h3>States, limits, faults</h3><table>{rows}</table>"
    )


def _plots(number: int, session: SessionRecord) -> str:
    from emulators.runtime import svg

    samples = _thinned(session.samples)
    if len(samples) < 2:
        return "<p>No measurements.</p>"
    times = [one.at - session.started_at for one in samples]
    plain, percent = svg.Axes("V", seconds=True), svg.Axes("%", seconds=True)
    signed = svg.Axes("A", above=svg.CHARGING[0], below=svg.CHARGING[1], seconds=True)
    currents: dict[str, Sequence[float | None]] = {
        "measured": [one.current_a for one in samples],
        "requested by the vehicle": [one.request_a for one in samples],
        "offered by the charger": [one.offered_a for one in samples],
        "discharge permitted": [-one.ceiling_a for one in samples],
    }
    return (
        f'<div class="wide"><h3>Voltage</h3>'
        f"{svg.lines(times, {'voltage': [one.voltage_v for one in samples]}, plain, f'Voltage of session {number}')}"
        f"<h3>Current</h3>{svg.lines(times, currents, signed, f'Current of session {number}')}"
        f"<h3>State of charge</h3>{svg.lines(times, {'state of charge': [one.soc_pct for one in samples]}, percent)}"
        f"<h3>States</h3>{svg.bands(times, {'charger': _states_at(session, times)}, plain)}</div>"
    )


def _states_at(session: SessionRecord, times: Sequence[float]) -> list[str]:
    """Return the state at each time."""
    found, position = [], 0
    for at in times:
        while position + 1 < len(session.states) and session.states[position + 1][0] - session.started_at <= at:
            position += 1
        found.append(str(session.states[position][1]))
    return found


def _thinned(samples: Sequence[Sample]) -> Sequence[Sample]:
    return samples[:: max(1, -(-len(samples) // MOST_POINTS))]
