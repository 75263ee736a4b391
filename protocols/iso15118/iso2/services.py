"""Services of ISO 15118-2: charging (id 1) and value-added services with parameter sets. DIN 70121 has charging only.

Source: ISO 15118-2 8.6.3, V2G2-425, 464, 467. The parameter sets of Internet access are as peers state them.
"""

from __future__ import annotations

from protocols.frozen import frozen
from protocols.iso15118.iso2 import types
from protocols.iso15118.iso2.messages import ServiceDiscoveryReq

CHARGE_SERVICE = 1
MOST_SERVICES = 8
Value = bool | int | str


@frozen(kw_only=True)
class ValueAddedService:
    """An offered service; `sets`: parameter sets by id."""

    service_id: int
    category: str  # Internet, ContractCertificate, OtherCustom
    name: str | None = None
    scope: str | None = None
    free: bool = True
    sets: tuple[tuple[int, tuple[tuple[str, Value], ...]], ...] = ()

    def message(self) -> types.Service:
        return types.Service(
            ServiceID=self.service_id,
            ServiceName=self.name,
            ServiceCategory=types.ServiceCategory(self.category),
            ServiceScope=self.scope,
            FreeService=self.free,
        )

    def parameters(self) -> types.ServiceParameterList | None:
        """Return the parameter sets; None without one."""
        sets = tuple(
            types.ParameterSet(ParameterSetID=set_id, Parameter=tuple(_parameter(*one) for one in values))
            for set_id, values in self.sets
        )
        return types.ServiceParameterList(ParameterSet=sets) if sets else None

    def has(self, set_id: int | None) -> bool:
        """Return True for a selectable parameter set; a service without sets is selected without one."""
        return set_id in [one for one, _ in self.sets] if self.sets else set_id is None


INTERNET = ValueAddedService(
    service_id=3,
    category="Internet",
    name="InternetAccess",
    sets=((3, (("Protocol", "http"), ("Port", 80))), (4, (("Protocol", "https"), ("Port", 443)))),
)


def listed(services: tuple[ValueAddedService, ...], request: ServiceDiscoveryReq) -> types.ServiceList | None:
    """Return the services for a request, whose scope and category are filters; None without one."""
    category = None if request.ServiceCategory in (None, "EVCharging") else request.ServiceCategory
    found = [
        one.message()
        for one in services
        if (category is None or one.category == category)
        and (request.ServiceScope is None or one.scope in (None, request.ServiceScope))
    ]
    return types.ServiceList(Service=tuple(found[:MOST_SERVICES])) if found else None


def _parameter(name: str, value: Value) -> types.Parameter:
    if isinstance(value, bool):
        return types.Parameter(Name=name, boolValue=value)
    if isinstance(value, int):
        return types.Parameter(Name=name, intValue=value)
    return types.Parameter(Name=name, stringValue=value)
