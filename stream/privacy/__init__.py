"""What must not be seen is hidden before a picture leaves: for viewers, clips, thumbnails and models alike."""
