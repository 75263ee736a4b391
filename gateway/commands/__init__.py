"""The one place that decides: events of the edge and commands of facilities go in, set-points and answers come out.

`GatewayService` is what MQTT, the admin API and the applications call. It opens no socket and knows no protocol.
"""

from gateway.commands.submission import Channel, Submission
from gateway.service import GatewayService

__all__ = ["Channel", "GatewayService", "Submission"]
