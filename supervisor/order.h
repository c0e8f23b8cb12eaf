/* SPDX-License-Identifier: Apache-2.0 */
/*
 * order: what operators want of a running node, as the link brings it (docs/spec/04-supervision.md,
 * section "Orders"). An order says what is wanted, and is answered at once; the sequence does it.
 *
 * Threading: the supervisor's loop only.
 */
#ifndef ARGOSY_SUPERVISOR_ORDER_H
#define ARGOSY_SUPERVISOR_ORDER_H

#include "common/error.h"
#include "supervisor/link/link_message.h"
#include "supervisor/node.h"

/* Takes what the link sent: acknowledgements and orders, which are carried out and answered. */
void order_take(struct node *node, struct process *link);

/* Carries an order out; ret_text says for people what a reload changed, else it is empty. ERR_STATE
 * while the node ends, ERR_NOT_FOUND, ERR_INVALID, ERR_CONFIG, ERR_LIMIT, ERR_IO, ERR_MEMORY:
 * nothing was done. */
int order_carry_out(struct node *node, const struct link_order *order,
                    char ret_text[ERROR_TEXT_MAX], struct error *err);

/* SIGHUP: a reload without anybody to answer. */
void order_reload(struct node *node);

/* What was to be kept of earlier orders: before the first start. ERR_IO. */
int order_recall(struct node *node, struct error *err);

#endif
