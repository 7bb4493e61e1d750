/*
 * Since Go 1.22, the runtime takes its randomness from ProcessPrng in
 * bcryptprimitives.dll, which Wine 8 (Debian 12) lacks. This stands in for it.
 */
#include <windows.h>

/* SystemFunction036 is RtlGenRandom, in advapi32. */
BOOLEAN NTAPI SystemFunction036(PVOID buffer, ULONG size);

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE buffer, SIZE_T size)
{
	while (size > 0) {
		ULONG chunk = size > 1 << 28 ? 1 << 28 : (ULONG)size;
		if (!SystemFunction036(buffer, chunk))
			return FALSE;
		buffer += chunk;
		size -= chunk;
	}
	return TRUE;
}

BOOL WINAPI DllMain(HINSTANCE instance, DWORD reason, LPVOID reserved)
{
	(void)instance;
	(void)reason;
	(void)reserved;
	return TRUE;
}
