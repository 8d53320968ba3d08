"""Everybody's perceived emotion over a clip or a stream: rows, people, segments, and files and pictures of them."""
