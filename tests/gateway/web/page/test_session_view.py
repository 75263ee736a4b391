"""Sessions of the page: list, power curve, energies, messages, CSV."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest

from gateway.store.store import Sample
from gateway.web.page.sessions import samples_csv, sessions_csv
from tests.gateway.web.page.charging_page import charging_page


@pytest.mark.virtual_time
async def test_a_session_with_its_power_curve_energies_and_messages() -> None:
    async with charging_page() as page:
        await page.command("discharge", "5")
        await page.rig.sleep(300)
        listed = await page.text("/sessions")
        ref = re.search(r'href="/sessions\?ref=([^"]+)"', listed)
        assert ref is not None
        text = await page.text(f"/sessions?ref={ref[1]}")
        assert "CP1-1" in text
        assert "Discharged:" in text or "Discharged</dt>" in text
        power, soc = (json.loads(one.replace("&#34;", '"')) for one in re.findall(r'data-chart="([^"]+)"', text))
        assert min(one for one in power["lines"][0]["values"] if one is not None) == pytest.approx(-5.0, abs=0.2)
        assert len(power["times"]) > 5
        assert soc["lines"][0]["values"][0] > soc["lines"][0]["values"][-1]
        assert "Power: lowest -5" in text
        assert "TransactionEvent" in text  # its messages
        rows = list(csv.DictReader(io.StringIO(await page.text(f"/session.csv?ref={ref[1]}"))))
        assert max(float(one["discharging_w"] or 0) for one in rows) == pytest.approx(5000, abs=200)
        assert {one["charging_w"] for one in rows[2:]} <= {"0", ""}
        (row,) = csv.DictReader(io.StringIO(await page.text("/sessions.csv")))
        assert (row["station"], row["ended"]) == ("CP1", "")
        assert float(row["discharged_wh"]) > 100
        for path, status in (("/sessions?ref=absent", 404), ("/session.csv?ref=absent", 404)):
            assert (await page.http.get(path)).status_code == status


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "＝1"])
def test_cells_that_a_spreadsheet_would_calculate_are_text(text: str) -> None:
    row = {
        "station": text,
        "evseId": 1,
        "transactionId": text,
        "startedAt": None,
        "stoppedAt": None,
        "stopReason": text,
        "energy_charged_wh": 12.4,
        "energy_discharged_wh": None,
    }
    _, cells = csv.reader(io.StringIO(sessions_csv([row])))
    assert all(cells[number].startswith("'") for number in (0, 2, 5))
    assert cells[6:] == ["12", ""]


def test_powers_of_both_directions_have_columns_without_sign() -> None:
    text = samples_csv([Sample("CP1-1", 0.0, -5000.4, 64.0, 1.0, 2.6), Sample("CP1-1", 1.0, 7.0), Sample("CP1-1", 2.0)])
    _, first, second, third = csv.reader(io.StringIO(text))
    assert first[1:] == ["0", "5000", "64.0", "1", "3"]
    assert second[1:3] == ["7", "0"]
    assert third[1:] == ["", "", "", "", ""]
