/* SPDX-License-Identifier: Apache-2.0 */
/* The table of one instruction set, compiled per instruction set (isa.h). */
#include "kernels/cpu/isa.h"

#include "kernels/cpu/tile.h"

#define ISA_TEXT_(isa) #isa
#define ISA_TEXT(isa)  ISA_TEXT_(isa)

const struct cpu_isa ISA(cpu_isa) = {
    .name = ISA_TEXT(KERNELS_ISA),
#ifdef KERNELS_BF16
    .precision = DEVICE_BF16,
#else
    .precision = DEVICE_FP32,
#endif
    .element_bytes = sizeof(element),
    .step = STEP,
    .panel = TILE_VECS * VEC_LANES,
    .pack = ISA(gemm_pack),
    .gemm = ISA(gemm),
    .attend = ISA(attend),
    .embed_row = ISA(embed_row),
    .add_norm_row = ISA(add_norm_row),
    .pool_text = ISA(pool_text),
    .softmax_row = ISA(softmax_row),
    .to_float_row = ISA(to_float_row),
    .from_float_row = ISA(from_float_row),
};
