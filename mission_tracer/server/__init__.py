"""A local stand-in for the Telnyx AI Missions API, for development and tests.

Needs the extra `server`.
"""

from mission_tracer.server.app import create_app
from mission_tracer.server.behaviour import Behaviour
from mission_tracer.server.serving import RunningServer, running_server, serve
from mission_tracer.server.store import Store

__all__ = ["Behaviour", "RunningServer", "Store", "create_app", "running_server", "serve"]
