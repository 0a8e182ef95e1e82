/* SPDX-License-Identifier: BSD-2-Clause */
/* request.h - is a line a request, as JSON-RPC 2.0 has it? */
#ifndef VD_CONTROL_REQUEST_H
#define VD_CONTROL_REQUEST_H

#include <json-c/json.h>

/**
 * vd_request_parse() - Read a request
 * @line: UTF-8, behind which there is a blank or a newline
 * @len: its bytes, without that
 * @ret_request: an object with "method", a string, and, if there is one, "id", which can be sent back as
 *               it came; no string in it has a NUL. The caller's
 *
 * Return: 0; VD_RPC_PARSE or VD_RPC_INVALID with a sentence.
 */
int vd_request_parse(const char *line, size_t len, struct json_object **ret_request);

#endif
