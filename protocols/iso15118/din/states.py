"""States of a SECC in DIN SPEC 70121: DC only, the states of ISO 15118-2 with the names of DIN's messages.

Source: DIN SPEC 70121 V2G-DC-437, 438, 439, 441, 444, 451, 453, 455, 458, 459, 462, 465, 469, 495, 497, 498, 499
(numbers as EVerest cites them).
"""

from __future__ import annotations

from protocols.iso15118.iso2.states import DC, STOP, Follows, S, to

FOLLOWS: Follows = {
    **DC,
    S.PAYMENT_SELECTION: {"ServicePaymentSelectionReq": to(S.AUTHORIZATION), **STOP},
    S.AUTHORIZATION: {"ContractAuthenticationReq": to(S.AUTHORIZATION, S.CHARGE_PARAMETERS), **STOP},
    S.CHARGE_LOOP: {"CurrentDemandReq": to(S.CHARGE_LOOP), "PowerDeliveryReq": to(S.STOPPED)},
}
