/* SPDX-License-Identifier: Apache-2.0 */
/* export: marks what libargosy.so shows to the world; everything else in it is hidden. */
#ifndef ARGOSY_EXPORT_H
#define ARGOSY_EXPORT_H

#define ARGOSY_API                         __attribute__((visibility("default")))
#define ARGOSY_PRINTF(format_at, first_at) __attribute__((format(printf, format_at, first_at)))

#endif
