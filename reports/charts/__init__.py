"""Draws charts as SVG for the pages."""
