"""The product: charging stations and cars on one side, facility controllers on the other, the site between them."""

__version__ = "0.2.0"
