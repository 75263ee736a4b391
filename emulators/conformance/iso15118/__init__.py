"""Catalogue of ISO 15118-20, ISO 15118-2 and DIN SPEC 70121, for SECC and EV.

The tester sends and receives messages in their JSON form, so that a case can deviate in any field. It uses the codecs
of `protocols.iso15118` and none of its engines: what they regard as correct is not what judges a device.

    profiles.py       combinations of protocol, service and control mode, with the order of their requests
    requests.py       requests of an ordinary vehicle; responses.py: responses of an ordinary charging station
    connection.py     one connection: messages with times, recorded as evidence
    vehicle.py        the tester as vehicle; secc_*.py: cases for a SECC
    station.py        the tester as SECC; ev_*.py: cases for an EV
    mutation.py       devices that break one rule, for the test of the catalogue itself
"""
