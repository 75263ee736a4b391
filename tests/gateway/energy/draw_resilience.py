"""Draws the pictures of `docs/resilience.md`: `python -m tests.gateway.energy.draw_resilience`.

One night without a grid at a shelter with three deployed cars: the controller in the small simulation of `site_sim.py`.
"""

from __future__ import annotations

from html import escape
from pathlib import Path

from emulators.runtime import svg
from gateway.energy.settings import CarTable, EnergySection
from tests.gateway.energy.site_sim import Sim, SimCar
from tests.gateway.energy.test_controller import SHELTER, lost_between, shelter_load

PICTURES = Path(__file__).resolve().parents[3] / "docs" / "pictures"
STYLE = "<style>text{font:12px sans-serif;fill:#444}line{stroke:#ddd}</style>"
FIRST_HOUR = 18.0  # local time at the left edge
OUTAGE_H = (1.0, 15.0)
SHADED = ((OUTAGE_H[0] * 3600, OUTAGE_H[1] * 3600, "outage"),)
AXES = {
    "soc": svg.Axes("%", FIRST_HOUR, shaded=SHADED),
    "power": svg.Axes("kW", FIRST_HOUR, "charging, import", "discharging", SHADED),
    "hours": svg.Axes("h", FIRST_HOUR, shaded=SHADED),
    "owed": svg.Axes("kWh", FIRST_HOUR, shaded=SHADED),
    "tiers": svg.Axes("", FIRST_HOUR, shaded=SHADED),
}


def night() -> tuple[list[float], dict[str, dict[str, list[float | None]]], dict[str, list[str]]]:
    """The night, sampled each five minutes: times in s, lines by picture, bands of the tiers."""
    section = EnergySection(
        island=True, forming=("E1", "E2", "E3"), tiers=SHELTER, off_grid_pct=15, recharge_hours=6,
        cars=(CarTable(vehicle="E3", home_km=60, wh_per_km=160),),
    )  # fmt: skip
    cars = [
        SimCar("E1", 80.0, can_form=True),
        SimCar("E2", 70.0, can_form=True),
        SimCar("E3", 90.0, can_form=True, there=((3.0, 1e9),)),
    ]
    load, grid = lambda hour: shelter_load(hour + FIRST_HOUR), lost_between(OUTAGE_H)
    sim = Sim(section, cars, load, grid=grid, step_s=5.0, import_w=11_000.0)
    times: list[float] = []
    lines: dict[str, dict[str, list[float | None]]] = {"soc": {}, "power": {}, "hours": {}, "owed": {}}
    bands: dict[str, list[str]] = {}
    while sim.hour < 22.0:
        sim.run(1 / 12)
        times.append(sim.now)
        for car in cars:
            there = car.present(sim.hour)
            lines["soc"].setdefault(f"car {car.evse[1:]}", []).append(car.soc_pct if there else None)
            lines["power"].setdefault(f"car {car.evse[1:]}", []).append(car.now_w / 1000 if there else None)
        lines["power"].setdefault("the grid", []).append(sim.grid_w[-1] / 1000)
        orders = sim.orders
        assert orders is not None
        recharge = orders.state.recharge
        owed = {row.name: row.owed_wh for row in recharge.owed} if recharge is not None else {}
        for car in cars:
            known = car.present(sim.hour) and sim.hour > 1.0
            lines["owed"].setdefault(f"car {car.evse[1:]}", []).append(owed.get(car.evse, 0) / 1000 if known else None)
        for tier in SHELTER:
            bands.setdefault(tier.name, []).append("on" if orders.state.tiers[tier.name] else "")
        hours = sim.controller.off_grid.hours.get("light")
        off = orders.state.forming is not None and hours is not None
        for name in ("low", "expected", "high"):
            value = getattr(hours, name) if hours is not None else 0.0
            lines["hours"].setdefault(name, []).append(min(value, 30.0) if off else None)
    return times, lines, bands


def draw() -> dict[str, str]:
    """File name -> SVG."""
    times, lines, bands = night()
    found = {
        f"night-{name}.svg": standalone(svg.lines(times, lines[name], AXES[name]), list(lines[name])) for name in lines
    }
    found["night-tiers.svg"] = standalone(svg.bands(times, bands, AXES["tiers"]), [])
    return found


def standalone(drawn: str, names: list[str]) -> str:
    """A drawing with its legend inside, as a file that opens by itself."""
    body = drawn[: drawn.index("</svg>")]
    at = body.index(">") + 1
    legend = "".join(
        f'<rect x="{150 + 130 * n}" y="2" width="10" height="10" fill="{svg.COLOURS[n]}"/>'
        f'<text x="{165 + 130 * n}" y="12">{escape(name)}</text>'
        for n, name in enumerate(names)
    )
    return body[:at] + STYLE + '<rect width="100%" height="100%" fill="white"/>' + legend + body[at:] + "</svg>\n"


if __name__ == "__main__":
    PICTURES.mkdir(exist_ok=True)
    for file, text in draw().items():
        (PICTURES / file).write_text(text)
