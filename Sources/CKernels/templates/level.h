// Everything that exists once a level. Before including this a level file defines
//   LANES       floats in a vector,
//   BLOCK_ROWS  rows of the register block, beside two vectors of columns,
//   HAS_FMA     whether multiply-and-add is one instruction,
//   HAS_DOT     whether the dot product of bf16 pairs is,
//   HAS_VNNI    whether that of fours of bytes is,
//   TABLE       the name of the table to fill.
#include <math.h>
#include <string.h>

#include "../half.h"
#include "../kernels.h"
#include "vector.h"
#include "rows.h"
#include "bytes.h"
#include "product.h"
#include "products.h"
#include "linear.h"
#include "attention.h"
#include "logits.h"

const struct vireo_kernels TABLE = {
    .block_rows = BLOCK_ROWS,
    .unit_bytes =
        {
            [vireo_type_f32] = 4,
            [vireo_type_bf16] = sizeof(bf16_unit),
            [vireo_type_int8] = sizeof(int8_unit),
            [vireo_type_int4] = sizeof(int8_unit),
        },
    .pack_block = pack_block,
    .linear_block = linear_block,
    .attend = attend,
    .convert = convert,
    .rms_norm = rms_norm,
    .layer_norm = layer_norm,
    .silu_multiply = silu_multiply,
    .gelu_multiply = gelu_multiply,
    .rotate = rotate,
    .add = add,
    .largest = largest,
    .sum_exp = sum_exp,
    .count_above = count_above,
};
