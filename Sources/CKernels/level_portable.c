// Any processor: vectors of four, multiplication and addition apart.
#define LANES 4
#define BLOCK_ROWS 6
#define HAS_FMA 0
#define HAS_DOT 0
#define HAS_VNNI 0
#define TABLE vireo_kernels_portable
#include "templates/level.h"
