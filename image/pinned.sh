# What the image is made with; read by build.sh and by tools/image.py.
MICROPYTHON_TAG=v1.28.0
MICROPYTHON_COMMIT=e0e9fbb17ed6fd06bb76e266ae554784c9c80804
# The version of Espressif's framework that this MicroPython recommends and is tested with.
IDF_VERSION=v5.5.1
