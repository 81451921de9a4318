"""Vision: from a photo's file to what the image networks see in it."""
