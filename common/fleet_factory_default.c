/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fleet_factory_default: the built-in entries of the factory, one for each shipped workflow, in the
 * words of the config file. Their schemas say what workflows/ takes; tests hold the two together.
 */
#include "common/fleet_factory.h"

/* clang-format off */
const char fleet_factory_default[] =
"factory:\n"
"- name: infer\n"
"  description: label one text\n"
"  type: PrepareAndInferWorkflow\n"
"  id: infer-{uuid}\n"
"  input:\n"
"    type: [string, object]\n"
"    description: the text, or the text and the model that labels it\n"
"    properties:\n"
"      text: {type: string}\n"
"      model: {type: string, minLength: 1, maxLength: 200, description: NAME or NAME@VERSION}\n"
"    required: [text]\n"
"    additionalProperties: false\n"
"\n"
"- name: embed\n"
"  description: turn texts into vectors\n"
"  type: BatchEmbedWorkflow\n"
"  id: embed-{uuid}\n"
"  input:\n"
"    type: array\n"
"    items: {type: string}\n"
"\n";
/* clang-format on */
