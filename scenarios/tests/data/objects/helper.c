/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The other half of driver.c. */
extern long driver_answer;
extern volatile unsigned long jiffies; /* the guest kernel's */

__attribute__((weak)) long nobody(void);

long helper(long x)
{
	driver_answer = x + (nobody ? nobody() : 0) + (jiffies ? 0 : 0);
	return x * 2;
}
