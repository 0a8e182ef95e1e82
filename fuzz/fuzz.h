/* SPDX-License-Identifier: BSD-2-Clause */
/* fuzz.h - what every target is: libFuzzer calls it, or main.c does for each file it is given */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* Return: 0. A fault is a crash. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
