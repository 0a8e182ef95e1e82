/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * line.h - commands as text: a command in each line, and its words, as a shell has them
 *
 *	# the disk of the first guest
 *	dev add name d0 mgmtdev blk image '/srv/a disk.img' \
 *		driver vhost-user socket /run/d0.sock
 *
 * Words are parted by blanks. '...' is as it stands, "..." too, but for \ before " \ $ or `;
 * outside of both, \ takes the next byte as it stands, and goes on in the next line at the end of
 * one. A word that begins with # begins a comment. Nothing else has a meaning: no variables, no
 * patterns. Text is UTF-8.
 */
#ifndef VD_CONTROL_LINE_H
#define VD_CONTROL_LINE_H

#include <stddef.h>
#include <stdio.h>

/**
 * struct vd_lines - Text that is read line by line
 * @p, @end: what is left of it; borrowed
 * @next: number of the line that begins at @p, from 1
 * @number: number of the line in which the command, or what is wrong with it, begins
 * @words: of the command; NULL behind the last
 * @n: how many
 *
 * Zero it, set @p and @end; @next is 1 then by itself.
 */
struct vd_lines {
	const char *p, *end;
	unsigned int next, number;
	char **words;
	unsigned int n;
	char *text; /* of the words; room for all that there is */
};

/**
 * vd_lines_next() - Read the next command
 *
 * What it found is valid until the next call. After a fault it goes on behind the line, and what that goes on in.
 *
 * Return: 1; 0 at the end; -EINVAL with a sentence, without the number; -ENOMEM.
 */
int vd_lines_next(struct vd_lines *l);

/* Free what it holds. */
void vd_lines_fini(struct vd_lines *l);

/* Write a word so that vd_lines_next(), or a shell, reads it again. */
void vd_line_put(FILE *f, const char *word);

#endif
