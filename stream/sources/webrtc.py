"""WebRTC: publishers that send us a camera (WHIP), and viewers that get a stream's packets as they are (WHEP).

One peer connection a session, without trickle: the answer has all candidates. Everything lives on the event loop.
"""

from stream.sources.peer import IceServer, WebRtcConfig, notes
from stream.sources.publisher import Publisher
from stream.sources.viewer import Viewer

__all__ = ["IceServer", "Publisher", "Viewer", "WebRtcConfig", "notes"]
