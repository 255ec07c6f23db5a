/** The settings by which the service reaches the bench's source. */
export function platformSettings(baseUrl: string): Record<string, string> {
  return {
    VCC_BASE_URL: baseUrl,
    VCC_APP_ID: 'bench',
    VCC_BASE_KEY: '0123456789abcdef0123456789abcdef',
  };
}
