"""Board of hardware programs that implement EVerest's MQTT API."""
