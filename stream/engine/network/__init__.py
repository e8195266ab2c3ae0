"""The Whisper network: features, encoder, decoder, attention kernels, caches and int8 layers."""
