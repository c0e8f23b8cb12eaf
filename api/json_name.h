/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_name: what proto3's JSON mapping calls things, and which messages it treats apart. Part of
 * json. Threading: any thread; no state.
 */
#ifndef ARGOSY_API_JSON_NAME_H
#define ARGOSY_API_JSON_NAME_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>

/* The longest field name of the schema is half of this. */
#define JSON_NAME_SIZE 128

/* "task_queue" as "taskQueue"; returns name. */
const char *json_name_of(const ProtobufCFieldDescriptor *field, char name[JSON_NAME_SIZE]);

/* The field called so, in either spelling; NULL when there is none. */
const ProtobufCFieldDescriptor *json_name_find(const ProtobufCMessageDescriptor *descriptor,
                                               const char *name);

/* The known name nearest to an unknown one, in name; NULL when none is near. */
const char *json_name_nearest(const ProtobufCMessageDescriptor *descriptor, const char *unknown,
                              char name[JSON_NAME_SIZE]);

/* A proto map: protoc makes it a repeated message "<Message>.<Field>Entry" with a key and a value.
 */
bool json_name_is_map(const ProtobufCFieldDescriptor *field);

#endif
