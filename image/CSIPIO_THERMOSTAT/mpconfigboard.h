// What of MicroPython is in the image. See sdkconfig.board for what of ESP-IDF is.

#define MICROPY_HW_BOARD_NAME "Csipio thermostat"
#define MICROPY_HW_MCU_NAME "ESP32"
#define MICROPY_PY_NETWORK_HOSTNAME_DEFAULT "csipio-thermostat"

// The Python heap that the firmware is tested in, in one piece. MicroPython doubles a heap that is
// full, and takes the second half from the memory that Wi-Fi and TLS need.
#define MICROPY_GC_INITIAL_HEAP_SIZE (64 * 1024)

// Never used here. Without Bluetooth the framework also keeps no RAM for its controller.
#define MICROPY_PY_BLUETOOTH (0)
#define MICROPY_PY_ESPNOW (0)
#define MICROPY_PY_NETWORK_LAN (0)
#define MICROPY_HW_ENABLE_SDCARD (0)
