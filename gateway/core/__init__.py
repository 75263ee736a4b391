"""The one place that decides: events of the edge and commands of facilities go in, set-points and answers come out.

`Core` is what MQTT, the admin API and the applications call. It opens no socket and knows no protocol.
"""

from gateway.core.core import Core
from gateway.core.submission import Channel, Submission

__all__ = ["Channel", "Core", "Submission"]
