"""XML Signature, as far as the charging standards' schemas import it (namespace xmldsig).

In charging, a header's Signature holds a SignedInfo with one Reference per signed element (`URI="#" + Id`, a Transform
naming canonical EXI, the digest of the element's EXI fragment) and the raw r||s signature value. KeyInfo and Object are
declared because the schema contains them and their names take part in event codes; no peer sends them. Foreign elements
(wildcards) and free text between elements have event codes too, but cannot be read or written.

Source: the W3C recommendation's schema as the standards reference it.
"""

from __future__ import annotations

from typing import Annotated

from protocols.exi.declare import ANY, Attribute, Namespace, Occurs, OneOf, Particles, Ref, complex_type, element

XMLDSIG = Namespace("http://www.w3.org/2000/09/xmldsig#", qualified_attributes=False)

# Global elements of simple type: part of the element order; Reference and KeyInfo hold their plain values.
SIMPLE_ELEMENTS = ("DigestValue", "KeyName", "MgmtData")

WILDCARDS = Particles("sequence", (ANY,), 0, None)


# ----------------------------------------------------------------------------------------------------------- SignedInfo


@element(XMLDSIG, mixed=True, content=WILDCARDS)
class CanonicalizationMethod:
    """Canonicalization of SignedInfo: canonical EXI."""

    Algorithm: Attribute[str]


@element(XMLDSIG, mixed=True, content=Particles("sequence", ("HMACOutputLength?", WILDCARDS)))
class SignatureMethod:
    """The signature's algorithm, such as ecdsa-sha256; HMACOutputLength belongs to HMACs only."""

    Algorithm: Attribute[str]
    HMACOutputLength: int | None = None


@element(XMLDSIG, mixed=True, content=Particles("choice", (ANY, "XPath"), 0, None))
class Transform:
    """Transformation of the referenced element before hashing; XPath filters apply to XML and are not used here."""

    Algorithm: Attribute[str]
    XPath: Annotated[tuple[str, ...], Occurs(0, None)] = ()


@element(XMLDSIG)
class Transforms:
    """Transforms in the order of their application."""

    Transform: Annotated[tuple[Annotated[Transform, Ref(Transform)], ...], Occurs(1, None)]


@element(XMLDSIG, mixed=True, content=WILDCARDS)
class DigestMethod:
    """The hash of a referenced element."""

    Algorithm: Attribute[str]


@element(XMLDSIG)
class Reference:
    """One signed element, found by its Id, with its digest."""

    Id: Attribute[str] | None = None
    URI: Attribute[str] | None = None
    Type: Attribute[str] | None = None
    Transforms: Annotated[Transforms, Ref(Transforms)] | None = None
    DigestMethod: Annotated[DigestMethod, Ref(DigestMethod)]
    DigestValue: bytes


@element(XMLDSIG)
class SignedInfo:
    """The input of the signature value."""

    Id: Attribute[str] | None = None
    CanonicalizationMethod: Annotated[CanonicalizationMethod, Ref(CanonicalizationMethod)]
    SignatureMethod: Annotated[SignatureMethod, Ref(SignatureMethod)]
    Reference: Annotated[tuple[Annotated[Reference, Ref(Reference)], ...], Occurs(1, None)]


@element(XMLDSIG)
class SignatureValue:
    """The signature itself: r and s, each as long as the curve's order, concatenated."""

    Id: Attribute[str] | None = None
    value: bytes


# ------------------------------------------------------------------------------------------------------------ key info


DSA_KEY = Particles(
    "sequence",
    (
        Particles("sequence", ("P", "Q"), 0, 1),
        "G?",
        "Y",
        "J?",
        Particles("sequence", ("Seed", "PgenCounter"), 0, 1),
    ),
)


@element(XMLDSIG, content=DSA_KEY)
class DSAKeyValue:
    """A DSA key; P and Q go together, Seed and PgenCounter too."""

    P: bytes | None = None
    Q: bytes | None = None
    G: bytes | None = None
    Y: bytes
    J: bytes | None = None
    Seed: bytes | None = None
    PgenCounter: bytes | None = None


@element(XMLDSIG)
class RSAKeyValue:
    """An RSA key."""

    Modulus: bytes
    Exponent: bytes


@element(XMLDSIG, mixed=True, content=Particles("choice", ("DSAKeyValue", "RSAKeyValue", ANY)))
class KeyValue:
    """A public key."""

    DSAKeyValue: OneOf[Annotated[DSAKeyValue, Ref(DSAKeyValue)]] = None
    RSAKeyValue: OneOf[Annotated[RSAKeyValue, Ref(RSAKeyValue)]] = None


@element(XMLDSIG)
class RetrievalMethod:
    """Location of the key."""

    URI: Attribute[str] | None = None
    Type: Attribute[str] | None = None
    Transforms: Annotated[Transforms, Ref(Transforms)] | None = None


@complex_type(XMLDSIG)
class X509IssuerSerial:
    """A certificate by issuer and serial number of up to 20 bytes."""

    X509IssuerName: str
    X509SerialNumber: int


X509_PARTS = ("X509IssuerSerial", "X509SKI", "X509SubjectName", "X509Certificate", "X509CRL", ANY)


@element(XMLDSIG, content=Particles("sequence", (Particles("choice", X509_PARTS),), 1, None))
class X509Data:
    """Certificates and their names, at least one part of any kind. Parts are written kind by kind."""

    X509IssuerSerial: Annotated[tuple[X509IssuerSerial, ...], Occurs(0, None)] = ()
    X509SKI: Annotated[tuple[bytes, ...], Occurs(0, None)] = ()
    X509SubjectName: Annotated[tuple[str, ...], Occurs(0, None)] = ()
    X509Certificate: Annotated[tuple[bytes, ...], Occurs(0, None)] = ()
    X509CRL: Annotated[tuple[bytes, ...], Occurs(0, None)] = ()


PGP_PARTS = Particles(
    "choice",
    (
        Particles("sequence", ("PGPKeyID", "PGPKeyPacket?", WILDCARDS)),
        Particles("sequence", ("PGPKeyPacket", WILDCARDS)),
    ),
)


@element(XMLDSIG, content=PGP_PARTS)
class PGPData:
    """An OpenPGP key: its id, its packet, or both."""

    PGPKeyID: bytes | None = None
    PGPKeyPacket: bytes | None = None


SPKI_PARTS = Particles("sequence", ("SPKISexp", Particles("sequence", (ANY,), 0, 1)), 1, None)


@element(XMLDSIG, content=SPKI_PARTS)
class SPKIData:
    """SPKI keys as canonical S-expressions."""

    SPKISexp: Annotated[tuple[bytes, ...], Occurs(1, None)]


KEY_PARTS = ("KeyName", "KeyValue", "RetrievalMethod", "X509Data", "PGPData", "SPKIData", "MgmtData", ANY)


@element(XMLDSIG, mixed=True, content=Particles("choice", KEY_PARTS, 1, None))
class KeyInfo:
    """Hints to the verifier's key, at least one of any kind, written kind by kind."""

    Id: Attribute[str] | None = None
    KeyName: Annotated[tuple[str, ...], Occurs(0, None)] = ()
    KeyValue: Annotated[tuple[Annotated[KeyValue, Ref(KeyValue)], ...], Occurs(0, None)] = ()
    RetrievalMethod: Annotated[tuple[Annotated[RetrievalMethod, Ref(RetrievalMethod)], ...], Occurs(0, None)] = ()
    X509Data: Annotated[tuple[Annotated[X509Data, Ref(X509Data)], ...], Occurs(0, None)] = ()
    PGPData: Annotated[tuple[Annotated[PGPData, Ref(PGPData)], ...], Occurs(0, None)] = ()
    SPKIData: Annotated[tuple[Annotated[SPKIData, Ref(SPKIData)], ...], Occurs(0, None)] = ()
    MgmtData: Annotated[tuple[str, ...], Occurs(0, None)] = ()


# ------------------------------------------------------------------------------------------- objects and the signature


@element(XMLDSIG, mixed=True, content=WILDCARDS)
class Object:
    """Arbitrary content inside the signature; only its attributes can be read and written here."""

    Id: Attribute[str] | None = None
    MimeType: Attribute[str] | None = None
    Encoding: Attribute[str] | None = None


@element(XMLDSIG)
class Manifest:
    """References that the application verifies."""

    Id: Attribute[str] | None = None
    Reference: Annotated[tuple[Annotated[Reference, Ref(Reference)], ...], Occurs(1, None)]


@element(XMLDSIG, mixed=True, content=Particles("choice", (ANY,), 1, None))
class SignatureProperty:
    """A statement about a signature. It requires a foreign element and thus cannot be read or written."""

    Target: Attribute[str]
    Id: Attribute[str] | None = None


@element(XMLDSIG)
class SignatureProperties:
    """Statements about signatures."""

    Id: Attribute[str] | None = None
    SignatureProperty: Annotated[tuple[Annotated[SignatureProperty, Ref(SignatureProperty)], ...], Occurs(1, None)]


@element(XMLDSIG)
class Signature:
    """Signature in a message header; SignedInfo names the signed parts, SignatureValue signs SignedInfo."""

    Id: Attribute[str] | None = None
    SignedInfo: Annotated[SignedInfo, Ref(SignedInfo)]
    SignatureValue: Annotated[SignatureValue, Ref(SignatureValue)]
    KeyInfo: Annotated[KeyInfo, Ref(KeyInfo)] | None = None
    Object: Annotated[tuple[Annotated[Object, Ref(Object)], ...], Occurs(0, None)] = ()
