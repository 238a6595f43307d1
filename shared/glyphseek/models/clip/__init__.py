"""CLIP networks of open_clip that read at any resolution; this folder is the only home of open_clip.

Start at `building.load_clip`.
"""
