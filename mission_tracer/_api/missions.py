"""Name the operations on missions and on what agents may use in them: knowledge bases, MCP servers, tools.

The API declares neither what these last three, nor what cloning, take and give: they send the `body` they are given
(anything JSON, None for nothing) and answer the decoded JSON.
"""

from collections.abc import Mapping
from typing import Any, TypeAlias

from mission_tracer._api.flow import Call, call
from mission_tracer._api.pages import D, Listing, Resource, lists, sends
from mission_tracer._api.runs import Runs
from mission_tracer.models import EventData, EventType, ExecutionMode, MissionData

JSON: TypeAlias = Mapping[str, Any]


class KnowledgeBases(Resource[D]):
    """The knowledge bases of a mission."""

    @sends
    def list(self, mission_id: str) -> Call[Any]:
        """List a mission's knowledge bases."""
        return call("knowledge_bases.list", mission_id=mission_id)

    @sends
    def create(self, mission_id: str, *, body: object = None) -> Call[Any]:
        """Give a mission a knowledge base."""
        return call("knowledge_bases.create", json=body, mission_id=mission_id)

    @sends
    def retrieve(self, knowledge_base_id: str, *, mission_id: str) -> Call[Any]:
        """Get one knowledge base."""
        return call("knowledge_bases.retrieve", mission_id=mission_id, knowledge_base_id=knowledge_base_id)

    @sends
    def update(self, knowledge_base_id: str, *, mission_id: str, body: object = None) -> Call[Any]:
        """Replace a knowledge base."""
        return call("knowledge_bases.update", json=body, mission_id=mission_id, knowledge_base_id=knowledge_base_id)

    @sends
    def delete(self, knowledge_base_id: str, *, mission_id: str) -> Call[None]:
        """Take a knowledge base from a mission."""
        return call("knowledge_bases.delete", mission_id=mission_id, knowledge_base_id=knowledge_base_id)

    list_knowledge_bases = list  # noqa: A003 - the operation above
    create_knowledge_base = create
    get_knowledge_base = retrieve
    update_knowledge_base = update
    delete_knowledge_base = delete


class McpServers(Resource[D]):
    """The MCP servers of a mission."""

    @sends
    def list(self, mission_id: str) -> Call[Any]:
        """List a mission's MCP servers."""
        return call("mcp_servers.list", mission_id=mission_id)

    @sends
    def create(self, mission_id: str, *, body: object = None) -> Call[Any]:
        """Give a mission an MCP server."""
        return call("mcp_servers.create", json=body, mission_id=mission_id)

    @sends
    def retrieve(self, mcp_server_id: str, *, mission_id: str) -> Call[Any]:
        """Get one MCP server."""
        return call("mcp_servers.retrieve", mission_id=mission_id, mcp_server_id=mcp_server_id)

    @sends
    def update(self, mcp_server_id: str, *, mission_id: str, body: object = None) -> Call[Any]:
        """Replace an MCP server."""
        return call("mcp_servers.update", json=body, mission_id=mission_id, mcp_server_id=mcp_server_id)

    @sends
    def delete(self, mcp_server_id: str, *, mission_id: str) -> Call[None]:
        """Take an MCP server from a mission."""
        return call("mcp_servers.delete", mission_id=mission_id, mcp_server_id=mcp_server_id)

    list_mcp_servers = list  # noqa: A003 - the operation above
    create_mcp_server = create
    get_mcp_server = retrieve
    update_mcp_server = update
    delete_mcp_server = delete


class Tools(Resource[D]):
    """The tools of a mission."""

    @sends
    def list(self, mission_id: str) -> Call[Any]:
        """List a mission's tools."""
        return call("tools.list", mission_id=mission_id)

    @sends
    def create(self, mission_id: str, *, body: object = None) -> Call[Any]:
        """Give a mission a tool."""
        return call("tools.create", json=body, mission_id=mission_id)

    @sends
    def retrieve(self, tool_id: str, *, mission_id: str) -> Call[Any]:
        """Get one tool."""
        return call("tools.retrieve", mission_id=mission_id, tool_id=tool_id)

    @sends
    def update(self, tool_id: str, *, mission_id: str, body: object = None) -> Call[Any]:
        """Replace a tool."""
        return call("tools.update", json=body, mission_id=mission_id, tool_id=tool_id)

    @sends
    def delete(self, tool_id: str, *, mission_id: str) -> Call[None]:
        """Take a tool from a mission."""
        return call("tools.delete", mission_id=mission_id, tool_id=tool_id)

    list_tools = list  # noqa: A003 - the operation above
    create_tool = create
    get_tool = retrieve
    update_tool = update
    delete_tool = delete


class Missions(Resource[D]):
    """The missions of an organization."""

    def __init__(self, driver: D) -> None:
        super().__init__(driver)
        self.runs = Runs(driver)
        self.knowledge_bases = KnowledgeBases(driver)
        self.mcp_servers = McpServers(driver)
        self.tools = Tools(driver)

    @sends
    def create(
        self,
        *,
        name: str,
        description: str | None = None,
        execution_mode: ExecutionMode | str | None = None,
        instructions: str | None = None,
        metadata: JSON | None = None,
        model: str | None = None,
    ) -> Call[MissionData]:
        """Create a mission; without an `execution_mode` the server takes `external`."""
        body = {
            "name": name,
            "description": description,
            "model": model,
            "instructions": instructions,
            "execution_mode": execution_mode,
            "metadata": metadata,
        }
        return call("create", body=body)

    @sends
    def retrieve(self, mission_id: str) -> Call[MissionData]:
        """Get one mission."""
        return call("retrieve", mission_id=mission_id)

    @sends
    def update(
        self,
        mission_id: str,
        *,
        description: str | None = None,
        execution_mode: ExecutionMode | str | None = None,
        instructions: str | None = None,
        metadata: JSON | None = None,
        model: str | None = None,
        name: str | None = None,
    ) -> Call[MissionData]:
        """Replace a mission's definition.

        It is a PUT: whether the server keeps what is left out is not documented, so give the whole definition.
        """
        body = {
            "name": name,
            "description": description,
            "model": model,
            "instructions": instructions,
            "execution_mode": execution_mode,
            "metadata": metadata,
        }
        return call("update", body=body, mission_id=mission_id)

    @lists
    def list(self, *, page_number: int | None = None, page_size: int | None = None) -> Listing[MissionData]:
        """List the missions.

        Args:
            page_number: the page to begin with, from 1; None: the first.
            page_size: how many items a page has; None: as many as the server likes.
        """
        return Listing("list", page_number, {"page[size]": page_size}, {})

    @sends
    def delete(self, mission_id: str) -> Call[None]:
        """Delete a mission for good."""
        return call("delete", mission_id=mission_id)

    @sends
    def clone(self, mission_id: str, *, body: object = None) -> Call[Any]:
        """Create a copy of a mission."""
        return call("clone", json=body, mission_id=mission_id)

    @lists
    def list_events(
        self, *, page_number: int | None = None, page_size: int | None = None, type: EventType | str | None = None
    ) -> Listing[EventData]:
        """List the recent events of every mission, of one type if given.

        Args:
            page_number: the page to begin with, from 1; None: the first.
            page_size: how many items a page has; None: as many as the server likes.
            type: one of `EventType`; None: any.
        """
        return Listing("list_events", page_number, {"type": type, "page[size]": page_size}, {})

    update_mission = update
    delete_mission = delete
    clone_mission = clone
