"""Energy transfer services and their parameter sets: the SECC's offer and the EVCC's choice.

Service and parameter names of the standard as values, lenient parsing of parameter sets (peers number and name them
differently), and the choice among them. Source: ISO 15118-20, service identifiers and configuration parameters.
Uncertain: the AC connector value for three phases (peers send 2 or 3) and the exact name of the islanding parameter;
both forms are accepted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import IntEnum
from itertools import product

from protocols.frozen import frozen
from protocols.iso15118.iso20.common import Parameter, ParameterSet
from protocols.iso15118.iso20.rational import number


class ServiceId(IntEnum):
    """Supported energy transfer services."""

    AC = 1
    DC = 2
    AC_BPT = 5
    DC_BPT = 6


class ControlMode(IntEnum):
    SCHEDULED = 1
    DYNAMIC = 2


class MobilityNeedsMode(IntEnum):
    """Side that states the driver's needs."""

    BY_EVCC = 1
    BY_SECC = 2  # the SECC may change them; with dynamic control only (V2G20-2663)


class Pricing(IntEnum):
    NONE = 0
    ABSOLUTE = 1
    LEVELS = 2


class BptChannel(IntEnum):
    UNIFIED = 1
    SEPARATED = 2


NAMES = {"dc": ServiceId.DC, "dc_bpt": ServiceId.DC_BPT, "ac": ServiceId.AC, "ac_bpt": ServiceId.AC_BPT}
DC_SERVICES = frozenset({ServiceId.DC, ServiceId.DC_BPT})
BPT_SERVICES = frozenset({ServiceId.AC_BPT, ServiceId.DC_BPT})
LARGEST_SETS = 32  # ParameterSet[1..32]
ISLANDING = ("GridCodeIslandingDetectionMethod", "DetectionMethodGridCodeIslanding")


@frozen(kw_only=True)
class Parameters:
    """One parameter set. None: the peer omitted the parameter."""

    set_id: int
    control: ControlMode = ControlMode.SCHEDULED
    mobility: MobilityNeedsMode = MobilityNeedsMode.BY_EVCC
    pricing: Pricing = Pricing.NONE
    connector: int | None = None
    nominal_voltage_v: int | None = None
    channel: BptChannel | None = None
    generator_mode: int | None = None  # 1 grid following, 2 grid forming
    islanding: int | None = None  # 1 active, 2 passive


@frozen
class Offer:
    """A service with its parameter sets."""

    service: ServiceId
    sets: tuple[Parameters, ...]

    def with_id(self, set_id: int) -> Parameters | None:
        return next((one for one in self.sets if one.set_id == set_id), None)


@frozen
class Choice:
    """The service and parameter set agreed for this session."""

    service: ServiceId
    parameters: Parameters

    @property
    def is_dc(self) -> bool:
        return self.service in DC_SERVICES

    @property
    def is_bpt(self) -> bool:
        return self.service in BPT_SERVICES

    @property
    def is_dynamic(self) -> bool:
        return self.parameters.control is ControlMode.DYNAMIC


def offer(
    service: ServiceId,
    controls: Sequence[ControlMode] = (ControlMode.DYNAMIC, ControlMode.SCHEDULED),
    *,
    needs_modes: Sequence[MobilityNeedsMode] = (MobilityNeedsMode.BY_EVCC, MobilityNeedsMode.BY_SECC),
    pricing: Pricing = Pricing.LEVELS,
    connector: int | None = None,
    nominal_voltage_v: int = 230,
    channels: Sequence[BptChannel] = (BptChannel.UNIFIED,),
    generator_modes: Sequence[int] = (1,),
    islanding: int = 2,
) -> Offer:
    """Return a service with every consistent combination of parameters, numbered from 1."""
    is_dc, is_bpt = service in DC_SERVICES, service in BPT_SERVICES
    combinations = (
        (control, mode, channel, generator)
        for control, mode, channel, generator in product(
            controls, needs_modes, channels if is_bpt else (None,), generator_modes if is_bpt else (None,)
        )
        if mode is MobilityNeedsMode.BY_EVCC or control is ControlMode.DYNAMIC
    )
    sets = tuple(
        Parameters(
            set_id=set_id,
            control=control,
            mobility=mode,
            pricing=pricing,
            connector=connector if connector is not None else (2 if is_dc else 3),
            nominal_voltage_v=None if is_dc else nominal_voltage_v,
            channel=channel,
            generator_mode=generator,
            islanding=islanding if service is ServiceId.AC_BPT else None,
        )
        for set_id, (control, mode, channel, generator) in enumerate(combinations, start=1)
    )
    return Offer(service, sets[:LARGEST_SETS])


def choose(
    sets: Iterable[Parameters], controls: Sequence[ControlMode], needs_modes: Sequence[MobilityNeedsMode]
) -> Parameters | None:
    """Return the first set in the EV's order of preference: control mode first, then mobility needs mode."""
    known = tuple(sets)
    for control, mode in product(controls, needs_modes):
        for one in known:
            if one.control is control and one.mobility is mode:
                return one
    return None


def to_message(parameters: Parameters) -> ParameterSet:
    """Return the parameter set as a message, with the applicable parameters only."""
    values = {
        "Connector": parameters.connector,
        "ControlMode": int(parameters.control),
        "EVSENominalVoltage": parameters.nominal_voltage_v,
        "MobilityNeedsMode": int(parameters.mobility),
        "Pricing": int(parameters.pricing),
        "BPTChannel": parameters.channel,
        "GeneratorMode": parameters.generator_mode,
        ISLANDING[0]: parameters.islanding,
    }
    return ParameterSet(
        ParameterSetID=parameters.set_id,
        Parameter=tuple(
            Parameter(Name=name, intValue=int(value)) for name, value in values.items() if value is not None
        ),
    )


def from_message(message: ParameterSet) -> Parameters | None:
    """Return the meaning of a peer's parameter set; None without a known control mode. Unknown names are ignored."""
    values = {parameter.Name: _int(parameter) for parameter in message.Parameter}
    try:
        control = ControlMode(values.get("ControlMode") or 0)
        mobility = MobilityNeedsMode(values.get("MobilityNeedsMode") or 1)
        pricing = Pricing(values.get("Pricing") or 0)
    except ValueError:
        return None
    channel = values.get("BPTChannel")
    return Parameters(
        set_id=message.ParameterSetID,
        control=control,
        mobility=mobility,
        pricing=pricing,
        connector=values.get("Connector"),
        nominal_voltage_v=values.get("EVSENominalVoltage"),
        channel=BptChannel(channel) if channel in (1, 2) else None,
        generator_mode=values.get("GeneratorMode"),
        islanding=next((values[name] for name in ISLANDING if name in values), None),
    )


def _int(parameter: Parameter) -> int | None:
    for value in (parameter.intValue, parameter.shortValue, parameter.byteValue, parameter.boolValue):
        if value is not None:
            return int(value)
    return None if parameter.rationalNumber is None else int(number(parameter.rationalNumber))
