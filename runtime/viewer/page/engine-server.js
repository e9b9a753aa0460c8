// Where the page's questions go: to the program that served it, which has opened bundle and films already.

export const request = (path, options) => fetch(path, options);
export const open = null;
