/* SPDX-License-Identifier: BSD-2-Clause */
/* words.h - the words of a command, and the parameters of a method */
#ifndef VD_CONTROL_WORDS_H
#define VD_CONTROL_WORDS_H

#include <json-c/json.h>
#include <stdio.h>

/**
 * vd_words_dev() - Read "name NAME mgmtdev MGMTDEV ... driver DRIVER ..."
 * @ret_params: of dev.add; the caller's
 *
 * Return: 0; -EINVAL with a sentence.
 */
int vd_words_dev(int argc, char **argv, struct json_object **ret_params);

/* Read "KEY VALUE ..." into an object. Return: as above. */
int vd_words_attrs(int argc, char **argv, struct json_object **ret_attrs);

/**
 * vd_words_put_dev() - Write the lines that make a device
 * @params: of dev.add, complete: as dev.export tells them
 *
 * "dev add ...", and "dev override ..." if there is one; each ends with a newline.
 */
void vd_words_put_dev(FILE *f, struct json_object *params);

#endif
