"""Vendor profile of a station."""

from __future__ import annotations

import logging
from pathlib import Path

from gateway.csms.registration import Boot
from gateway.csms.settings import StationSettings
from protocols.ocpp import vendor
from protocols.ocpp.schema import Version
from protocols.ocpp.vendor import VendorProfile

log = logging.getLogger("v2x.csms")


def vendor_profile_of(settings: StationSettings, version: Version, boot: Boot, folder: Path | None) -> VendorProfile:
    """Return the configured vendor profile, or the one that matches the BootNotification.

    `folder` has the profiles of the operator; one that cannot be read any more does not count.
    """
    name = settings.vendor_profile
    try:
        found = vendor.find(name, folder).at(version) if name else None
        return found or vendor.recognise(version, boot.vendor, boot.model, folder)
    except vendor.BadProfile:  # its file changed after the start
        log.exception("%s: vendor profile cannot be read", settings.id)
        return vendor.recognise(version, boot.vendor, boot.model)
