"""Catalogues of OCPP cases: `v2x conformance charger` and `v2x conformance csms`."""

from __future__ import annotations

from functools import cache

from emulators.conformance.capabilities import Capability
from emulators.conformance.catalogue import Catalogue
from emulators.conformance.ocpp.csms_under_test import CsmsUnderTest
from emulators.conformance.ocpp.declarations import VERSION_CAPABILITIES
from emulators.conformance.ocpp.mutants import Mutant
from emulators.conformance.ocpp.station_under_test import StationUnderTest
from emulators.conformance.ocpp.stations import (
    ac_der,
    authorization,
    boot,
    composite_schedules,
    der,
    device_model,
    dynamic_profiles,
    external_control,
    local_list,
    ocpp16_boot,
    ocpp16_lists,
    ocpp16_operation,
    ocpp16_security,
    ocpp16_smart_charging,
    ocpp16_transactions,
    ocpp16_triggers,
    operation_modes,
    priority_charging,
    provisioning,
    remote_control,
    smart_charging,
    state,
    transaction_events,
    v2x_authorization,
    v2x_composition,
)
from emulators.conformance.ocpp.systems import bidirectional as systems_2_1
from emulators.conformance.ocpp.systems import handshake, ocpp2, orders
from emulators.conformance.ocpp.systems import ocpp16 as systems_1_6

STATION_CAPABILITIES = {
    **VERSION_CAPABILITIES,
    "lab.vehicle": Capability("a vehicle is connected to EVSE 1, or the laboratory can connect one", False),
    "lab.plug": Capability("the laboratory can connect a vehicle", False),
    "lab.vacant": Capability("no vehicle is connected to EVSE 1 at the start of a case"),
    "lab.unplug": Capability("the laboratory can disconnect the vehicle", False),
    "lab.reader": Capability("the laboratory can present a token", False),
    "lab.external": Capability("the laboratory can control the station as an external system (EMS)", False),
    "lab.grid": Capability("the laboratory can set the grid frequency and the load at the upstream meter", False),
    "lab.password": Capability("the password of the station is given (--password-file)", False),
    "station.power": Capability("active power is in the meter values, and the vehicle takes up to 10 kW"),
    "station.two-evses": Capability("two EVSEs (1.6: connectors) or more"),
    "station.dc": Capability("DC charging", False),
    "station.soc": Capability("the state of charge of the vehicle is known, and above 5 %", False),
    "station.lock": Capability("the connector has a lock"),
    "station.reservation": Capability("reservation"),
    "station.local-list": Capability("local authorization list"),
    "station.trigger": Capability("remote trigger (1.6)"),
    "station.smart-charging": Capability("smart charging"),
    "station.priority-charging": Capability("purpose PriorityCharging (2.1)", False),
    "station.dynamic": Capability("Dynamic charging profiles (2.1)", False),
    "station.firmware": Capability("firmware updates"),
    "station.logs": Capability("upload of logs (1.6: diagnostics)"),
    "station.password": Capability("BasicAuthPassword (2.x)"),
    "station.certificates": Capability("certificate of the station by SignCertificate"),
    "station.security": Capability("security whitepaper (1.6)"),
    "station.security-1": Capability("connection with HTTP Basic authentication", False),
    "station.no-manufacturer-root": Capability("no root certificate of the manufacturer is installed"),
    "station.iso15118": Capability("ISO 15118 between station and vehicle", False),
    "station.v2x": Capability("bidirectional charging (2.1)", False),
    "station.bpt-vehicle": Capability("the vehicle can discharge", False),
    "station.renegotiation": Capability("renegotiation of the service with the vehicle (2.1)", False),
    "station.local-frequency": Capability("operation mode LocalFrequency (2.1)", False),
    "station.load-balancing": Capability("operation mode LocalLoadBalancing (2.1)", False),
    "station.without-load-balancing": Capability("no operation mode LocalLoadBalancing (2.1)", False),
    "station.idle": Capability("operation mode Idle (2.1)", False),
    "station.evse-sleep": Capability("evseSleep (2.1)", False),
    "station.without-evse-sleep": Capability("no evseSleep (2.1)", False),
    "station.der": Capability("DER control (2.1)", False),
    "station.ac-der": Capability("DER control of AC vehicles, one of which is in the laboratory (2.1)", False),
    "station.some-der-types": Capability("not every type of DER control (2.1)", False),
}


CSMS_CAPABILITIES = {
    **VERSION_CAPABILITIES,
    "lab.tokens": Capability("the CSMS knows the tokens of the tester (docs/conformance-ocpp.md)", False),
    "lab.password": Capability("the password of the station is given (--password-file)", False),
    "lab.operator": Capability("the laboratory can order a power and the end of a transaction", False),
    "lab.frequency": Capability("the laboratory can order a power in the mode CentralFrequency (2.1)", False),
    "lab.transfers": Capability("the laboratory can allow energy transfers in a transaction (2.1)", False),
    "lab.signal": Capability("the laboratory can forward a signal of the grid operator (2.1)", False),
    "lab.der": Capability("the laboratory can set default DER controls (2.1)", False),
    "csms.not-accepted": Capability("a station that is not registered is answered Pending or Rejected", False),
    "csms.refuses-unknown": Capability("the connection of a station that is not registered is refused", False),
    "csms.tls": Capability("the URL is wss", False),
    "csms.pending": Capability("a station that is not registered is answered Pending", False),
    "csms.rejects": Capability("a station that is not registered is answered Rejected", False),
    "csms.ocsp": Capability("certificate status by OCSP", False),
    "csms.v2x": Capability("bidirectional charging (2.1)", False),
    "csms.without-v2x": Capability("bidirectional charging is not permitted (2.1)", False),
    "csms.streams": Capability("periodic event streams (2.1)", False),
}


@cache
def systems() -> Catalogue[CsmsUnderTest, Mutant]:
    """Return the cases for CSMSs, in the order of a run."""
    cases = [case for group in (ocpp2, systems_2_1, systems_1_6, handshake, orders) for case in group.DECLARED.cases]
    return Catalogue("csms", "OCPP charging station management system", tuple(cases), CSMS_CAPABILITIES)


@cache
def stations() -> Catalogue[StationUnderTest, Mutant]:
    """Return the cases for charging stations, in the order of a run."""
    v2x = (dynamic_profiles, external_control, v2x_composition, v2x_authorization, operation_modes)
    transactions = (authorization, local_list, transaction_events, remote_control)
    core_16 = (ocpp16_boot, ocpp16_transactions, ocpp16_operation)
    v16 = (*core_16, ocpp16_smart_charging, ocpp16_lists, ocpp16_triggers, ocpp16_security)
    profiles = (smart_charging, composite_schedules, priority_charging)
    groups = (boot, device_model, provisioning, *transactions, state, *profiles, *v2x, der, ac_der, *v16)
    cases = [case for group in groups for case in group.DECLARED.cases]
    return Catalogue("charger", "OCPP charging station", tuple(cases), STATION_CAPABILITIES)
