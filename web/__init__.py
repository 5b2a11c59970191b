"""HTTP API, live websocket and the page."""
