"""Certificates of stations: what a station asks us to sign (A02, A03; 1.6 security whitepaper).

A site that has no authority for its stations signs nothing, and says so.
"""

from __future__ import annotations

from gateway.csms.station import Station
from protocols.ocpp.schema import Payload


def sign_certificate(station: Station, payload: Payload) -> Payload:
    """We hold no authority to sign with; the station keeps the certificate it has."""
    return {"status": "Rejected"}
