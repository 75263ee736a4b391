"""Bench: what gives the cases of a catalogue access to the device under test."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from emulators.conformance.capabilities import Capabilities, DeviceIdentity
from emulators.conformance.evidence import Evidence

Device_co = TypeVar("Device_co", covariant=True)


class DeviceUnreachable(Exception):
    """No connection to the device: nothing answers at the target, or nothing connects to it."""


@dataclass(frozen=True, slots=True)
class Discovery:
    """Result of a first dialogue with the device."""

    device: DeviceIdentity = field(default_factory=DeviceIdentity)
    capabilities: Mapping[str, bool] = field(default_factory=dict)


class Bench(Protocol[Device_co]):
    """Access to one device. `target` is its address for the report."""

    @property
    def target(self) -> str: ...

    async def discover(self, evidence: Evidence) -> Discovery:
        """Return what a dialogue shows. Raises DeviceUnreachable."""

    def access(
        self, case: str, evidence: Evidence, capabilities: Capabilities
    ) -> AbstractAsyncContextManager[Device_co]:
        """Return a context with fresh access for one case, which records in `evidence`; its end frees the device.

        Entering raises DeviceUnreachable.
        """
