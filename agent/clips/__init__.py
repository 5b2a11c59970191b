"""Clips: the seconds around what happened, cut from the compressed pictures as they came."""
