"""Cameras of the network for tests: a real RTSP server, video by HTTP, clips with numbered pictures, a broken line."""
